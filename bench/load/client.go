package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// clientMain does one kind of load and prints a report.
func clientMain(arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	url := flags.String("url", "", "`URL` to ask, without the path")
	path := flags.String("path", openaiPath, "`path` to ask, which also says in which dialect")
	model := flags.String("model", "bench", "the `name` of the model to ask for")
	loose := flags.Bool("loose", false, "the proxy writes answers anew: look at their text alone")
	prompt := flags.Int("prompt", 2000, "size of a request's prompt, in bytes")
	events := flags.Int("events", 100, "how many events each stream has")
	interval := flags.Int("interval", 20, "time between a stream's events, in ms; 0: no time")
	requests := flags.Int("requests", 1000, "how many requests the clients make, all together")
	streams := flags.Int("streams", 0, "load: how many streams to open, all at once")
	clients := flags.Int("clients", 0, "load: how many clients ask for short answers")
	size := flags.Int("bytes", 0, "load: the size of one body that is no stream")
	hold := flags.Int("hold", 0, "load: how many streams to hold open with nothing on them")
	stall := flags.Int("stall", 0, "load: how many streams not to read, beside 20 that are read")
	header := fields{}
	flags.Var(header, "header", "further `Name: value` of each request; may be repeated")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	speech, known := dialects[*path]
	if !known {
		return fmt.Errorf("there is no dialect for the path %q", *path)
	}
	asking := asker{
		url: *url + *path, speech: speech, model: *model, loose: *loose, prompt: *prompt,
		header: header,
	}
	wanted := order{events: *events, interval: time.Duration(*interval) * time.Millisecond}
	var kinds []func() report
	if *streams > 0 {
		kinds = append(kinds, func() report { return asking.streams(*streams, wanted) })
	}
	if *clients > 0 {
		kinds = append(kinds, func() report { return asking.clients(*clients, *requests) })
	}
	if *size > 0 {
		kinds = append(kinds, func() report { return asking.body(*size) })
	}
	if *hold > 0 {
		kinds = append(kinds, func() report { return asking.hold(*hold) })
	}
	if *stall > 0 {
		kinds = append(kinds, func() report { return asking.stall(*stall, wanted) })
	}
	if *url == "" || len(kinds) != 1 {
		return errors.New("needs -url, and one of -streams, -clients, -bytes, -hold and -stall")
	}
	began := time.Now()
	done := kinds[0]()
	if done.Seconds == 0 {
		done.Seconds = time.Since(began).Seconds()
	}
	return json.NewEncoder(os.Stdout).Encode(done)
}

// fields are header fields given as options.
type fields map[string]string

func (given fields) String() string { return "" }

func (given fields) Set(text string) error {
	name, value, found := strings.Cut(text, ":")
	if !found {
		return fmt.Errorf("%q is not a Name: value", text)
	}
	given[name] = strings.TrimSpace(value)
	return nil
}

// look says that now is the time to look at the proxy, and waits until that is done.
func look(phase string) {
	json.NewEncoder(os.Stdout).Encode(map[string]string{"phase": phase})
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// together runs count calls, at most abreast of them at the same time, and waits for their results.
func together(count, abreast int, call func(number int) result) []result {
	results := make([]result, count)
	places := make(chan struct{}, abreast)
	var group sync.WaitGroup
	for number := range count {
		places <- struct{}{}
		group.Add(1)
		go func() {
			defer group.Done()
			results[number] = call(number)
			<-places
		}()
	}
	group.Wait()
	return results
}
