package main

import (
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// upstreamMain serves the simulated provider, with a certificate over TLS as well.
func upstreamMain(arguments []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9000", "`address` to listen on")
	secure := flags.String("listen-tls", "", "`address` to listen on for TLS, if anywhere")
	certificate := flags.String("certificate", "", "PEM `file` for TLS: certificate and key")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	handler := http.HandlerFunc(provide)
	failed := make(chan error)
	if *secure != "" {
		go func() {
			// No HTTP/2: it is compared over HTTP/1.1.
			server := &http.Server{Addr: *secure, Handler: handler, Protocols: http1()}
			failed <- server.ListenAndServeTLS(*certificate, *certificate)
		}()
	}
	go func() { failed <- http.ListenAndServe(*listen, handler) }()
	return <-failed
}

func http1() *http.Protocols {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return protocols
}

// provide reads the whole request, as a provider does, then answers as its order says.
func provide(writer http.ResponseWriter, request *http.Request) {
	speech, known := dialects[request.URL.Path]
	if !known {
		http.NotFound(writer, request)
		return
	}
	begin := make([]byte, 4096)
	size, err := io.ReadFull(request.Body, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	if _, err = io.Copy(io.Discard, request.Body); err != nil {
		return
	}
	wanted, err := readOrder(begin[:size])
	switch {
	case err != nil:
		http.Error(writer, err.Error(), http.StatusBadRequest)
	case wanted.bytes > 0:
		writer.Header().Set("Content-Type", "application/octet-stream")
		writer.Header().Set("Content-Length", strconv.Itoa(wanted.bytes))
		for left := wanted.bytes; left > 0; left -= len(pattern) {
			if _, err := writer.Write(pattern[:min(left, len(pattern))]); err != nil {
				return
			}
		}
	case wanted.events > 0:
		writer.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		stream(writer, request, speech, wanted)
	default:
		writer.Header().Set("Content-Type", "application/json")
		io.WriteString(writer, speech.answer)
	}
}

// stream writes and flushes each event on its own. A stream begins somewhere in its first interval,
// as streams of many clients do; events that could not be written in time are not caught up with,
// because several at once would be cheaper to relay. Without an interval it writes 64
// events at once, always the same ones, as fast as it can.
func stream(writer http.ResponseWriter, request *http.Request, speech dialect, wanted order) {
	controller := http.NewResponseController(writer)
	if controller.Flush() != nil {
		return
	}
	if wanted.interval == 0 {
		flood(writer, speech, wanted.events)
		return
	}
	time.Sleep(rand.N(min(wanted.interval, 100*time.Millisecond)))
	ticker := time.NewTicker(wanted.interval)
	defer ticker.Stop()
	buffer := []byte(speech.begin)
	for number := range wanted.events {
		buffer = speech.appendEvent(buffer, now(), number)
		if _, err := writer.Write(buffer); err != nil || controller.Flush() != nil {
			return
		}
		buffer = buffer[:0]
		select {
		case <-ticker.C:
		case <-request.Context().Done():
			return
		}
	}
	io.WriteString(writer, speech.end)
}

func flood(writer http.ResponseWriter, speech dialect, events int) {
	const together = 64
	var buffer []byte
	for number := range together {
		buffer = speech.appendEvent(buffer, now(), number)
	}
	io.WriteString(writer, speech.begin)
	for range events / together {
		if _, err := writer.Write(buffer); err != nil {
			return
		}
	}
	io.WriteString(writer, speech.end)
}
