package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// load is what is asked of a proxy.
type load struct {
	url      string
	prompt   []byte // the whole request body
	events   int
	interval time.Duration
}

// result is what one stream, or one of the clients, saw.
type result struct {
	requests int
	events   int
	bunched  int     // events that came together with the one before
	delays   []int64 // nanoseconds: of an event since it was written; of a whole answer since asked
	errors   []error
}

// report is what is printed. Latencies are in milliseconds.
type report struct {
	Requests int                `json:"requests"` // that were answered as they should be
	Events   int                `json:"events"`
	Bunched  int                `json:"bunched"` // events that came together with the one before
	Failed   int                `json:"failed"`
	Errors   map[string]int     `json:"errors"` // what went wrong, and how often
	Seconds  float64            `json:"seconds"`
	Latency  map[string]float64 `json:"latency_ms"`
}

// clientMain runs streams, each on a connection of its own, or clients that ask again and again on
// theirs, and prints a report.
func clientMain(arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	url := flags.String("url", "", "`URL` to ask")
	streams := flags.Int("streams", 0, "how many streams to open, all at once")
	events := flags.Int("events", 100, "how many events each stream has")
	interval := flags.Int("interval", 20, "time between a stream's events, in milliseconds")
	clients := flags.Int("clients", 0, "instead of streams: how many clients ask for short answers")
	requests := flags.Int("requests", 1000, "how many requests the clients make, all together")
	prompt := flags.Int("prompt", 2048, "size of a request's prompt, in bytes")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *url == "" || (*streams > 0) == (*clients > 0) {
		return errors.New("needs -url, and one of -streams and -clients")
	}
	asked := load{
		url:      *url,
		prompt:   requestBody(*prompt, *streams > 0),
		events:   *events,
		interval: time.Duration(*interval) * time.Millisecond,
	}
	began := time.Now()
	var results []result
	if *streams > 0 {
		results = together(*streams, func(int) result { return asked.stream() })
	} else {
		transport := newTransport()
		transport.MaxIdleConnsPerHost = *clients
		results = together(*clients, func(number int) result {
			// The first ones make the requests that cannot be shared out evenly.
			share := (*requests + *clients - 1 - number) / *clients
			return asked.repeat(&http.Client{Transport: transport}, share)
		})
	}
	return json.NewEncoder(os.Stdout).Encode(summary(results, time.Since(began)))
}

func newTransport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns = 0
	transport.DisableCompression = true
	return transport
}

// together runs count calls at the same time and waits for their results.
func together(count int, call func(number int) result) []result {
	results := make([]result, count)
	var group sync.WaitGroup
	for number := range count {
		group.Add(1)
		go func() {
			defer group.Done()
			results[number] = call(number)
		}()
	}
	group.Wait()
	return results
}

// requestBody is a conversation of about size bytes, its keys in the order of OpenAI's SDK.
func requestBody(size int, stream bool) []byte {
	const turn = 2000
	line := "The quick brown fox jumps over the \"lazy\" dog, 1,234 times.\n"
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var messages []message
	for left := size; left > 0; left -= turn {
		text := strings.Repeat(line, min(left, turn)/len(line)+1)[:min(left, turn)]
		role := "user"
		if len(messages)%2 == 1 {
			role = "assistant"
		}
		messages = append(messages, message{role, text})
	}
	body := map[string]any{"messages": messages, "model": "gpt-bench", "stream": stream}
	if stream {
		body["stream_options"] = map[string]bool{"include_usage": true}
	}
	text, err := json.Marshal(body) // which sorts the keys: messages, model, stream
	if err != nil {
		panic(err)
	}
	return text
}

func (asked load) post(client *http.Client, header http.Header) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodPost, asked.url, bytes.NewReader(asked.prompt))
	if err != nil {
		return nil, err
	}
	header.Set("Content-Type", "application/json")
	header.Set("Authorization", "Bearer sk-bench")
	request.Header = header
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		response.Body.Close()
		return nil, fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return response, nil
}

// stream reads one stream on a new connection and checks every byte of it.
func (asked load) stream() result {
	transport := newTransport()
	defer transport.CloseIdleConnections()
	seen := result{delays: make([]int64, 0, asked.events)}
	header := http.Header{}
	header.Set("Accept", "text/event-stream")
	header.Set(eventsHeader, strconv.Itoa(asked.events))
	header.Set(intervalHeader, asked.interval.String())
	response, err := asked.post(&http.Client{Transport: transport}, header)
	if err == nil {
		defer response.Body.Close()
		err = seen.read(bufio.NewReaderSize(response.Body, 16*1024), asked.events)
	}
	if err != nil {
		seen.errors = append(seen.errors, err)
	} else {
		seen.requests = 1
	}
	return seen
}

func (seen *result) read(body *bufio.Reader, events int) error {
	const size = len(eventHead) + timeDigits + numberDigits + len(eventTail)
	var expected []byte
	for number := range events {
		if body.Buffered() >= size {
			seen.bunched++
		}
		event, err := body.Peek(size)
		if err != nil {
			return fmt.Errorf("cut among its events: %w", err)
		}
		sent, err := eventSent(event)
		if err != nil {
			return err
		}
		expected = appendEvent(expected[:0], sent, number)
		if !bytes.Equal(event, expected) {
			return errNotAnEvent
		}
		body.Discard(size)
		seen.events++
		seen.delays = append(seen.delays, now()-sent)
	}
	rest, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("cut at its end: %w", err)
	}
	if string(rest) != streamEnd {
		return errors.New("the end of the stream is not what was sent")
	}
	return nil
}

// repeat makes count requests for short answers, one after the other.
func (asked load) repeat(client *http.Client, count int) result {
	seen := result{delays: make([]int64, 0, count)}
	for range count {
		began := time.Now()
		if err := asked.once(client); err != nil {
			seen.errors = append(seen.errors, err)
			continue
		}
		seen.requests++
		seen.delays = append(seen.delays, int64(time.Since(began)))
	}
	return seen
}

func (asked load) once(client *http.Client) error {
	response, err := asked.post(client, http.Header{})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("cut within its answer: %w", err)
	}
	if string(text) != answer {
		return errors.New("an answer is not what was sent")
	}
	return nil
}

func summary(results []result, took time.Duration) report {
	all := report{Errors: map[string]int{}, Seconds: took.Seconds(), Latency: map[string]float64{}}
	var delays []int64
	for _, seen := range results {
		all.Requests += seen.requests
		all.Events += seen.events
		all.Bunched += seen.bunched
		all.Failed += len(seen.errors)
		delays = append(delays, seen.delays...)
		for _, err := range seen.errors {
			all.Errors[err.Error()]++
		}
	}
	sort.Slice(delays, func(i, j int) bool { return delays[i] < delays[j] })
	if last := len(delays) - 1; last >= 0 {
		for name, share := range map[string]float64{"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1} {
			all.Latency[name] = float64(delays[int(share*float64(last))]) / 1e6
		}
	}
	return all
}
