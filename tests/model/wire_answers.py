"""Bodies in each format that say as much as they can."""

from __future__ import annotations

from typing import Any

SCHEMA = {"title": "Idea", "type": "object", "properties": {"a": {"type": "integer"}}}

KNOWN: dict[str, dict[str, Any]] = {
    "openai": {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "max_completion_tokens": 5,
        "temperature": 0.5,
        "seed": 3,
        "n": 1,
        "stop": ["x"],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "idea", "schema": SCHEMA, "strict": False},
        },
        "tools": [{"type": "function", "function": {"name": "f", "strict": True}}],
        "tool_choice": "required",
    },
    "responses": {
        "input": "hi",
        "instructions": "Be brief.",
        "max_output_tokens": 5,
        "temperature": 0.5,
        "tools": [{"type": "web_search"}],
        "tool_choice": "auto",
        "text": {"format": {"type": "text"}, "verbosity": "low"},
    },
    "anthropic": {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "temperature": 0.5,
        "stop_sequences": ["x"],
        "system": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    },
}
"""Values for the fields of a request that a reader checks."""

ANSWERS: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "c1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m1",
        "service_tier": "flex",
        "system_fingerprint": "fp",
        "x_new": [1],
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "refusal": None,
                    "annotations": [{"type": "url_citation"}],
                    "reasoning_content": "hm",
                },
                "logprobs": {"content": [{"token": "Hi"}]},
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": "Yo"},
                "finish_reason": "stop",
            },
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "total_tokens": 11,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    },
    "responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000.0,
        "status": "completed",
        "model": "m1",
        "x_new": [1],
        "output": [
            {"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "zz"},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hi", "annotations": [{"x": 1}]}],
            },
        ],
        "usage": {
            "input_tokens": 9,
            "output_tokens": 2,
            "total_tokens": 11,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m1",
        "x_new": [1],
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "zz"},
            {"type": "text", "text": "Hi", "citations": [{"type": "char_location"}]},
        ],
        "stop_reason": "stop_sequence",
        "stop_sequence": "x",
        "usage": {
            "input_tokens": 3,
            "output_tokens": 2,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 2,
            "service_tier": "standard",
        },
    },
}
"""Whole answers."""
