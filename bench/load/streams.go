package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// streams opens so many streams, each on a new connection, and reads all of them.
func (asking asker) streams(count int, wanted order) report {
	began := time.Now()
	results := asking.readStreams(count, wanted)
	return summary(results, time.Since(began))
}

func (asking asker) readStreams(count int, wanted order) []result {
	body := asking.requestBody(wanted)
	return together(count, count, func(int) result {
		transport := newTransport(1)
		defer transport.CloseIdleConnections()
		seen := result{delays: make([]int64, 0, wanted.events)}
		response, err := asking.post(&http.Client{Transport: transport}, body, &seen)
		if err == nil {
			text := bufio.NewReaderSize(response.Body, 16*1024)
			if asking.loose {
				err = seen.readLoosely(text, wanted.events)
			} else {
				err = seen.read(text, asking.speech, wanted.events)
			}
			response.Body.Close()
		}
		if err != nil {
			seen.errors = append(seen.errors, err)
		} else {
			seen.requests = 1
		}
		return seen
	})
}

// read reads a stream and checks every byte of it.
func (seen *result) read(body *bufio.Reader, speech dialect, events int) error {
	begin := make([]byte, len(speech.begin))
	if _, err := io.ReadFull(body, begin); err != nil {
		return fmt.Errorf("cut at its beginning: %w", err)
	}
	if string(begin) != speech.begin {
		return errors.New("the beginning of the stream is not what was sent")
	}
	size := speech.eventSize()
	var expected []byte
	for number := range events {
		if body.Buffered() >= size && number > 0 {
			seen.bunched++
		}
		event, err := body.Peek(size)
		if err != nil {
			return fmt.Errorf("cut among its events: %w", err)
		}
		sent, _, err := readToken(event[len(speech.head):])
		if err != nil {
			return err
		}
		expected = speech.appendEvent(expected[:0], sent, number)
		if !bytes.Equal(event, expected) {
			return errNotAnEvent
		}
		body.Discard(size)
		seen.event(sent, size)
	}
	rest, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("cut at its end: %w", err)
	}
	if string(rest) != speech.end {
		return errors.New("the end of the stream is not what was sent")
	}
	return nil
}

// readLoosely reads a stream whose events were written anew, and checks that every token is there, in
// order.
func (seen *result) readLoosely(body *bufio.Reader, events int) error {
	mark := []byte(tokenMark)
	for {
		line, err := body.ReadSlice('\n')
		at := bytes.Index(line, mark)
		if at >= 0 {
			sent, number, err := readToken(line[at:])
			if err != nil {
				return err
			}
			if number != seen.events {
				return fmt.Errorf("event %d came in the place of %d", number, seen.events)
			}
			seen.event(sent, len(line))
			if rest, _ := body.Peek(body.Buffered()); bytes.Contains(rest, mark) {
				seen.bunched++
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("cut among its events: %w", err)
		}
	}
	if seen.events != events {
		return fmt.Errorf("%d events came where %d were sent", seen.events, events)
	}
	return nil
}

func (seen *result) event(sent int64, size int) {
	seen.events++
	seen.bytes += size
	seen.delays = append(seen.delays, now()-sent)
}
