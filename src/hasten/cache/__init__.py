"""DO NOT COMPUTE TWICE: keys, entries, policies, decisions, tiers, single-flight, invalidation."""
