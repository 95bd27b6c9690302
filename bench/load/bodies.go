package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// clients ask for so many short answers, all together, each client one after the other and on a
// connection of its own that is kept.
func (asking asker) clients(count, requests int) report {
	body := asking.requestBody(order{})
	transport := newTransport(count)
	began := time.Now()
	results := together(count, count, func(number int) result {
		// The first ones make the requests that cannot be shared out evenly.
		share := (requests + count - 1 - number) / count
		seen := result{delays: make([]int64, 0, share), heads: make([]int64, 0, share)}
		client := &http.Client{Transport: transport}
		for range share {
			began := now()
			if err := asking.once(client, body, &seen); err != nil {
				seen.errors = append(seen.errors, err)
				continue
			}
			seen.requests++
			seen.delays = append(seen.delays, now()-began)
		}
		return seen
	})
	return summary(results, time.Since(began))
}

func (asking asker) once(client *http.Client, body []byte, seen *result) error {
	response, err := asking.post(client, body, seen)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("cut within its answer: %w", err)
	}
	seen.bytes += len(text)
	whole := string(text) == asking.speech.answer
	if asking.loose {
		whole = bytes.Contains(text, []byte(sentence))
	}
	if !whole {
		return errors.New("an answer is not what was sent")
	}
	return nil
}

// body fetches one body of so many bytes and checks every one.
func (asking asker) body(size int) report {
	began := time.Now()
	seen := result{}
	if err := asking.readBody(size, &seen); err != nil {
		seen.errors = append(seen.errors, err)
	} else {
		seen.requests = 1
		seen.delays = append(seen.delays, int64(time.Since(began)))
	}
	return summary([]result{seen}, time.Since(began))
}

func (asking asker) readBody(size int, seen *result) error {
	client := &http.Client{Transport: newTransport(0)}
	response, err := asking.post(client, asking.requestBody(order{bytes: size}), seen)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	period := len(pattern) / 2
	buffer := make([]byte, period)
	for {
		count, err := response.Body.Read(buffer)
		at := seen.bytes % period
		if !bytes.Equal(buffer[:count], pattern[at:at+count]) {
			return errors.New("a body is not what was sent")
		}
		seen.bytes += count
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("cut within a body: %w", err)
		}
	}
	if seen.bytes != size {
		return fmt.Errorf("%d bytes came where %d were sent", seen.bytes, size)
	}
	return nil
}
