package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// upstreamMain serves the simulated provider.
func upstreamMain(arguments []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9000", "`address` to listen on")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	return http.ListenAndServe(*listen, http.HandlerFunc(provide))
}

// provide reads the whole request, as a provider does, then streams if the headers ask for it.
func provide(writer http.ResponseWriter, request *http.Request) {
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return
	}
	if request.Header.Get(eventsHeader) == "" {
		writer.Header().Set("Content-Type", "application/json")
		io.WriteString(writer, answer)
		return
	}
	events, interval, err := wanted(request.Header)
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	writer.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	stream(writer, request, events, interval)
}

func wanted(header http.Header) (events int, interval time.Duration, err error) {
	if events, err = strconv.Atoi(header.Get(eventsHeader)); err != nil || events < 1 {
		return 0, 0, fmt.Errorf("%s must be a number of events", eventsHeader)
	}
	if interval, err = time.ParseDuration(header.Get(intervalHeader)); err != nil || interval <= 0 {
		return 0, 0, errors.New(intervalHeader + " must be a duration, such as 20ms")
	}
	return events, interval, nil
}

// stream writes and flushes each event on its own. A stream begins somewhere in its first interval,
// as streams of many clients do; events that could not be written in time are not caught up with,
// because several at once would be cheaper to relay.
func stream(writer http.ResponseWriter, request *http.Request, events int, interval time.Duration) {
	controller := http.NewResponseController(writer)
	if controller.Flush() != nil {
		return
	}
	time.Sleep(rand.N(interval))
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var buffer []byte
	for number := range events {
		buffer = appendEvent(buffer[:0], now(), number)
		if _, err := writer.Write(buffer); err != nil || controller.Flush() != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-request.Context().Done():
			return
		}
	}
	io.WriteString(writer, streamEnd)
}
