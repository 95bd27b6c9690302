package main

import (
	"errors"
	"strconv"
	"time"
)

// What the simulated provider says, byte for byte, so that the client can check that it came
// through unchanged. The shapes are those of OpenAI's chat completions API
// (https://platform.openai.com/docs/api-reference/chat).

// The request headers that make the provider stream: how many events, and the time between two
// (as Go writes durations: 20ms). They are the benchmark's own, and proxies pass them on.
const (
	eventsHeader   = "X-Bench-Events"
	intervalHeader = "X-Bench-Interval"
)

const (
	eventHead = `data: {"id":"chatcmpl-`
	eventTail = `","object":"chat.completion.chunk","created":1762867200,"model":"gpt-bench",` +
		`"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" token"},` +
		`"finish_reason":null}]}` + "\n\n"

	// What follows the events in one write: the end of the choice, the usage, the end of the stream.
	streamEnd = `data: {"id":"chatcmpl-end","object":"chat.completion.chunk","created":1762867200,` +
		`"model":"gpt-bench","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"chatcmpl-end","object":"chat.completion.chunk","created":1762867200,` +
		`"model":"gpt-bench","choices":[],"usage":{"prompt_tokens":512,"completion_tokens":100,` +
		`"total_tokens":612}}` + "\n\ndata: [DONE]\n\n"

	answer = `{"id":"chatcmpl-answer","object":"chat.completion","created":1762867200,` +
		`"model":"gpt-bench","choices":[{"index":0,"message":{"role":"assistant","content":` +
		`"The quick brown fox jumps over the lazy dog."},"logprobs":null,"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":512,"completion_tokens":11,"total_tokens":523}}` + "\n"
)

// An event's id is the time at which it was written and its number, both of fixed length.
const (
	timeDigits   = 19
	numberDigits = 7
)

var errNotAnEvent = errors.New("an event is not what was sent")

// appendEvent appends an event: about 230 bytes, written at sent, the number-th of its stream.
func appendEvent(buffer []byte, sent int64, number int) []byte {
	buffer = append(buffer, eventHead...)
	buffer = strconv.AppendInt(buffer, sent, 10)
	digits := strconv.Itoa(number)
	for range numberDigits - len(digits) {
		buffer = append(buffer, '0')
	}
	buffer = append(buffer, digits...)
	return append(buffer, eventTail...)
}

// eventSent is the time at which an event, given whole, was written.
func eventSent(event []byte) (int64, error) {
	sent, err := strconv.ParseInt(string(event[len(eventHead):len(eventHead)+timeDigits]), 10, 64)
	if err != nil {
		return 0, errNotAnEvent
	}
	return sent, nil
}

// now is the wall clock, which both processes read: nanoseconds since the epoch, 19 digits.
func now() int64 { return time.Now().UnixNano() }
