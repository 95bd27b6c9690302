// The load of the benchmark: a simulated provider, the clients that ask it through a proxy, and Go's
// own reverse proxy to compare with. One binary with three modes:
//
//	load upstream -listen 127.0.0.1:9000
//	load proxy    -listen 127.0.0.1:9001 -upstream http://127.0.0.1:9000
//	load client   -url http://127.0.0.1:9001/v1/chat/completions -streams 200 -events 100 -interval 20
//	load client   -url http://127.0.0.1:9001/v1/chat/completions -clients 32 -requests 5000
//
// upstream and proxy run until they are told to stop; client prints one JSON object and exits with 0,
// also when requests failed: what went wrong is in the object.
package main

import (
	"fmt"
	"os"
)

func main() {
	modes := map[string]func(arguments []string) error{
		"upstream": upstreamMain,
		"client":   clientMain,
		"proxy":    proxyMain,
	}
	if len(os.Args) > 1 {
		if mode, known := modes[os.Args[1]]; known {
			if err := mode(os.Args[2:]); err != nil {
				fmt.Fprintf(os.Stderr, "load %s: %v\n", os.Args[1], err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: load upstream|client|proxy [options]; -h after a mode lists them")
	os.Exit(2)
}
