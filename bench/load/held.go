package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// abreast is how many streams are being opened at a time.
	abreast = 64
	// neighbours are streams that are read while others stall.
	neighbours = 20
	// reading is how long the clients are given to read what came while others were opened.
	reading = time.Second
	// settling is how long streams that nobody reads are given to fill every buffer.
	settling = 5 * time.Second
)

// hold opens so many streams that have one event and then nothing, lets whoever runs this look, and
// counts what came on them meanwhile: keepalives.
func (asking asker) hold(count int) report {
	began := time.Now()
	kept := asking.open(count, order{events: 2, interval: time.Hour})
	var keepalives atomic.Int64
	var readers sync.WaitGroup
	for _, body := range kept.bodies {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				line, err := body.ReadSlice('\n')
				if err != nil {
					return
				}
				// Lines of words that the upstream did not say: a comment, or an event.
				if line[0] == ':' || bytes.HasPrefix(line, []byte("event: ping")) {
					keepalives.Add(1)
				}
			}
		}()
	}
	time.Sleep(reading)
	before := keepalives.Load()
	look("held")
	meanwhile := keepalives.Load() - before
	kept.close()
	readers.Wait()
	done := summary(kept.results, time.Since(began))
	done.Keepalives = int(meanwhile)
	return done
}

// stall reads some streams, then the same beside so many that nobody reads.
func (asking asker) stall(count int, wanted order) report {
	before := summary(asking.readStreams(neighbours, wanted), 0)
	look("before")
	// More than all buffers of a connection hold, for any of the proxies.
	kept := asking.open(count, order{events: 200_000})
	time.Sleep(settling)
	look("stalled")
	began := time.Now()
	during := summary(append(kept.results, asking.readStreams(neighbours, wanted)...), 0)
	during.Seconds = time.Since(began).Seconds()
	during.Before = before.Latency
	during.Failed += before.Failed
	for text, times := range before.Errors {
		during.Errors[text] += times
	}
	look("end")
	kept.close()
	return during
}

// opened are streams of which the first line has been read, and nothing else.
type opened struct {
	results []result
	bodies  []*bufio.Reader
	close   func()
}

func (asking asker) open(count int, wanted order) opened {
	context, cancel := context.WithCancel(context.Background())
	client := &http.Client{Transport: bound{newTransport(-1), context}}
	body := asking.requestBody(wanted)
	var lock sync.Mutex
	all := opened{close: cancel}
	all.results = together(count, abreast, func(int) result {
		seen := result{}
		response, err := asking.post(client, body, &seen)
		if err == nil {
			text := bufio.NewReaderSize(response.Body, 1024)
			if _, err = text.Peek(1); err == nil {
				lock.Lock()
				defer lock.Unlock()
				all.bodies = append(all.bodies, text)
				seen.requests = 1
				return seen
			}
			err = errors.Join(errors.New("cut before its first event"), err)
		}
		seen.errors = append(seen.errors, err)
		return seen
	})
	return all
}

// bound ends all requests with its context.
type bound struct {
	http.RoundTripper
	until context.Context
}

func (bound bound) RoundTrip(request *http.Request) (*http.Response, error) {
	return bound.RoundTripper.RoundTrip(request.WithContext(bound.until))
}
