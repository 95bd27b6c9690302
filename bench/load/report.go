package main

import (
	"sort"
	"time"
)

// result is what one stream, or one of the clients, saw. Times are in nanoseconds.
type result struct {
	requests   int
	events     int
	bunched    int // events that came together with the one before
	bytes      int // of bodies
	keepalives int
	delays     []int64 // of an event since it was written; of a whole answer since asked
	heads      []int64 // of an answer's head since asked
	errors     []error
}

// report is what is printed. Latencies are in milliseconds.
type report struct {
	Requests   int                `json:"requests"` // that were answered as they should be
	Events     int                `json:"events"`
	Bunched    int                `json:"bunched"` // events that came together with the one before
	Bytes      int                `json:"bytes"`   // of bodies
	Keepalives int                `json:"keepalives"`
	Failed     int                `json:"failed"`
	Errors     map[string]int     `json:"errors"` // what went wrong, and how often
	Seconds    float64            `json:"seconds"`
	Latency    map[string]float64 `json:"latency_ms"`
	Head       map[string]float64 `json:"head_ms"`
	Before     map[string]float64 `json:"before_ms,omitempty"` // Latency before others stalled
}

func summary(results []result, took time.Duration) report {
	all := report{Errors: map[string]int{}, Seconds: took.Seconds()}
	var delays, heads []int64
	for _, seen := range results {
		all.Requests += seen.requests
		all.Events += seen.events
		all.Bunched += seen.bunched
		all.Bytes += seen.bytes
		all.Keepalives += seen.keepalives
		all.Failed += len(seen.errors)
		delays = append(delays, seen.delays...)
		heads = append(heads, seen.heads...)
		for _, err := range seen.errors {
			all.Errors[err.Error()]++
		}
	}
	all.Latency = shares(delays)
	all.Head = shares(heads)
	return all
}

// shares are percentiles in milliseconds; it sorts values.
func shares(values []int64) map[string]float64 {
	found := map[string]float64{}
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	if last := len(values) - 1; last >= 0 {
		for name, share := range map[string]float64{"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1} {
			found[name] = float64(values[int(share*float64(last))]) / 1e6
		}
	}
	return found
}
