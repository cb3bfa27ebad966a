"""A run's events on the wire: in four protocols, over two transports, to any number of readers.

``message`` is what an encoder makes of an event; ``hasten``, ``ai_sdk``, ``ag_ui`` and
``openai_responses`` are the encoders; ``feed`` encodes a run once for all who read it;
``send`` brings it to one reader, by server-sent events or by WebSocket.
"""
