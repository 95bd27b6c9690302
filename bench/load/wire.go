package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// What the simulated provider says, byte for byte, so that the client can check that it came
// through unchanged. The shapes are those of OpenAI's chat completions
// (https://platform.openai.com/docs/api-reference/chat) and of Anthropic's messages
// (https://docs.claude.com/en/api/messages-streaming).

// The paths tell the dialects apart.
const (
	openaiPath    = "/v1/chat/completions"
	anthropicPath = "/v1/messages"
)

// dialect is how the provider speaks.
type dialect struct {
	begin string // of a stream
	head  string // of an event, up to its token
	tail  string // and after it
	end   string // of a stream
	// answer is the whole of a short one; it says the sentence.
	answer string
}

const sentence = "The quick brown fox jumps over the lazy dog."

var dialects = map[string]dialect{
	openaiPath: {
		head: `data: {"id":"chatcmpl-BzT4k5ZQm0c1X9","object":"chat.completion.chunk",` +
			`"created":1762867200,"model":"gpt-bench","system_fingerprint":"fp_44709d6fcb",` +
			`"choices":[{"index":0,"delta":{"content":"`,
		tail: `"},"finish_reason":null}]}` + "\n\n",
		end: `data: {"id":"chatcmpl-BzT4k5ZQm0c1X9","object":"chat.completion.chunk",` +
			`"created":1762867200,"model":"gpt-bench","choices":[{"index":0,"delta":{},` +
			`"finish_reason":"stop"}]}` + "\n\n" +
			`data: {"id":"chatcmpl-BzT4k5ZQm0c1X9","object":"chat.completion.chunk",` +
			`"created":1762867200,"model":"gpt-bench","choices":[],"usage":{"prompt_tokens":512,` +
			`"completion_tokens":100,"total_tokens":612}}` + "\n\ndata: [DONE]\n\n",
		answer: `{"id":"chatcmpl-BzT4k5ZQm0c1X9","object":"chat.completion","created":1762867200,` +
			`"model":"gpt-bench","choices":[{"index":0,"message":{"role":"assistant","content":` +
			`"` + sentence + `"},"logprobs":null,"finish_reason":"stop"}],` +
			`"usage":{"prompt_tokens":512,"completion_tokens":11,"total_tokens":523}}` + "\n",
	},
	anthropicPath: {
		begin: "event: message_start\n" +
			`data: {"type":"message_start","message":{"id":"msg_01BzT4k5ZQm0c1X9","type":"message",` +
			`"role":"assistant","model":"claude-bench","content":[],"stop_reason":null,` +
			`"stop_sequence":null,"usage":{"input_tokens":512,"output_tokens":1}}}` + "\n\n" +
			"event: content_block_start\n" +
			`data: {"type":"content_block_start","index":0,"content_block":{"type":"text",` +
			`"text":""}}` + "\n\n",
		head: "event: content_block_delta\n" +
			`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`,
		tail: `"}}` + "\n\n",
		end: "event: content_block_stop\n" +
			`data: {"type":"content_block_stop","index":0}` + "\n\n" +
			"event: message_delta\n" +
			`data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},` +
			`"usage":{"output_tokens":100}}` + "\n\n" +
			"event: message_stop\n" + `data: {"type":"message_stop"}` + "\n\n",
		answer: `{"id":"msg_01BzT4k5ZQm0c1X9","type":"message","role":"assistant",` +
			`"model":"claude-bench","content":[{"type":"text","text":"` + sentence + `"}],` +
			`"stop_reason":"end_turn","stop_sequence":null,` +
			`"usage":{"input_tokens":512,"output_tokens":11}}` + "\n",
	},
}

// A token is the time at which its event was written and its number in the stream, both of fixed
// length. It is the text that the model says, which proxies that write the rest anew keep.
const (
	tokenMark    = "tok-"
	timeDigits   = 19
	numberDigits = 7
	tokenSize    = len(tokenMark) + timeDigits + numberDigits
)

var errNotAnEvent = errors.New("an event is not what was sent")

func appendToken(buffer []byte, sent int64, number int) []byte {
	buffer = append(buffer, tokenMark...)
	buffer = appendPadded(buffer, sent, timeDigits)
	return appendPadded(buffer, int64(number), numberDigits)
}

func appendPadded(buffer []byte, value int64, width int) []byte {
	digits := strconv.FormatInt(value, 10)
	for range width - len(digits) {
		buffer = append(buffer, '0')
	}
	return append(buffer, digits...)
}

// readToken is the time and the number in a token at the beginning of text.
func readToken(text []byte) (sent int64, number int, err error) {
	if len(text) < tokenSize || string(text[:len(tokenMark)]) != tokenMark {
		return 0, 0, errNotAnEvent
	}
	digits := string(text[len(tokenMark):tokenSize])
	if sent, err = strconv.ParseInt(digits[:timeDigits], 10, 64); err != nil {
		return 0, 0, errNotAnEvent
	}
	if number, err = strconv.Atoi(digits[timeDigits:]); err != nil {
		return 0, 0, errNotAnEvent
	}
	return sent, number, nil
}

// appendEvent appends an event: about 230 bytes (OpenAI) or 160 (Anthropic).
func (speech dialect) appendEvent(buffer []byte, sent int64, number int) []byte {
	buffer = append(buffer, speech.head...)
	buffer = appendToken(buffer, sent, number)
	return append(buffer, speech.tail...)
}

func (speech dialect) eventSize() int { return len(speech.head) + tokenSize + len(speech.tail) }

// order is what a client wants of the provider. It stands at the beginning of the prompt, which
// also proxies that write the request anew keep; one without an order gets a short answer.
type order struct {
	events   int
	interval time.Duration // 0: as fast as the connection takes them
	bytes    int           // of a body that is no stream
}

const (
	orderMark = "bench-order"
	orderForm = orderMark + " %d %d %d."
)

func (wanted order) String() string {
	return fmt.Sprintf(orderForm, wanted.events, wanted.interval.Microseconds(), wanted.bytes)
}

// readOrder finds the order in the beginning of a request's body.
func readOrder(body []byte) (wanted order, err error) {
	at := bytes.Index(body, []byte(orderMark))
	if at < 0 {
		return order{}, nil
	}
	var interval int64
	text := strings.NewReader(string(body[at:min(at+100, len(body))]))
	if _, err = fmt.Fscanf(text, orderForm, &wanted.events, &interval, &wanted.bytes); err != nil {
		return order{}, fmt.Errorf("the prompt's %q is not complete: %w", orderMark, err)
	}
	wanted.interval = time.Duration(interval) * time.Microsecond
	return wanted, nil
}

// pattern is what bodies that are no streams repeat; twice, so that any place has a period after it.
var pattern = func() []byte {
	const period = 64 * 1024
	text := make([]byte, 2*period)
	for at := range period {
		text[at] = byte(at*31 + at>>8)
		text[at+period] = text[at]
	}
	return text
}()

// now is the monotonic clock, which all processes of a machine share, in nanoseconds
// (clock_gettime(2), CLOCK_MONOTONIC); Go's own has a beginning of its own in each process.
func now() int64 {
	const monotonic = 1
	var read syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&read)), 0)
	return read.Nano()
}
