"""Hasten makes LLM-backed endpoints fast and cheap without making them worse."""
