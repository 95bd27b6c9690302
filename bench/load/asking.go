package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// asker makes requests of one kind.
type asker struct {
	url    string
	speech dialect
	model  string
	loose  bool
	prompt int // bytes
	header map[string]string
}

// newTransport is a transport of which idle connections are kept, up to so many.
func newTransport(idle int) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = idle
	transport.DisableCompression = true
	return transport
}

// requestBody is a conversation of about asking.prompt bytes that begins with an order, if there is
// one.
func (asking asker) requestBody(wanted order) []byte {
	const turn = 2000
	line := "The quick brown fox jumps over the \"lazy\" dog, 1,234 times.\n"
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	stream := wanted.events > 0
	var messages []message
	for left := asking.prompt; left > 0; left -= turn {
		text := strings.Repeat(line, min(left, turn)/len(line)+1)[:min(left, turn)]
		role := "user"
		if len(messages)%2 == 1 {
			role = "assistant"
		}
		messages = append(messages, message{role, text})
	}
	if wanted != (order{}) {
		messages[0].Content = wanted.String() + "\n" + messages[0].Content
	}
	// The keys are in the order of OpenAI's SDK, which for Anthropic's differs in max_tokens alone.
	body := struct {
		MaxTokens int              `json:"max_tokens,omitempty"`
		Messages  []message        `json:"messages"`
		Model     string           `json:"model"`
		Stream    bool             `json:"stream"`
		Options   *map[string]bool `json:"stream_options,omitempty"`
	}{Messages: messages, Model: asking.model, Stream: stream}
	if strings.HasSuffix(asking.url, anthropicPath) {
		body.MaxTokens = 1024
	} else if stream {
		body.Options = &map[string]bool{"include_usage": true}
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return text
}

// post asks; the answer's body is to be closed.
func (asking asker) post(client *http.Client, body []byte, seen *result) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodPost, asking.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(asking.url, anthropicPath) {
		request.Header.Set("X-Api-Key", "sk-bench")
		request.Header.Set("Anthropic-Version", "2023-06-01")
	} else {
		request.Header.Set("Authorization", "Bearer sk-bench")
	}
	for name, value := range asking.header {
		request.Header.Set(name, value)
	}
	began := now()
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	seen.heads = append(seen.heads, now()-began)
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 400))
		response.Body.Close()
		return nil, fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return response, nil
}
