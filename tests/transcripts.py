"""Streams as providers send them, made up for these tests, with the usage that stands in them."""

from __future__ import annotations

CHAT_EVENTS = (
    b'data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}\n\n',
    'data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,'
    '"delta":{"content":"Grüße"},"finish_reason":null}],"usage":null}\n\n'.encode(),
    b'data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,'
    b'"delta":{},"finish_reason":"stop"}],"usage":null}\n\n',
    b'data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,'
    b'"prompt_tokens_details":{"cached_tokens":4},'
    b'"completion_tokens_details":{"reasoning_tokens":0}}}\n\n',
    b"data: [DONE]\n\n",
)

MESSAGES_EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"m-2","content":[],"stop_reason":null,"usage":{"input_tokens":25,'
    b'"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"cache_creation":'
    b'{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6},"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n',
    b'event: ping\ndata: {"type": "ping"}\n\n',
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    '"delta":{"type":"text_delta","text":"Grüße"}}\n\n'.encode(),
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":12}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)

CHAT_BODY = (
    b'{"id":"c1","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,'
    b'"completion_tokens":3,"total_tokens":12}}'
)
