// The load of the benchmark: a simulated provider, the clients that ask it through a proxy, and Go's
// own reverse proxy to compare with. One binary with three modes:
//
//	load upstream -listen 127.0.0.1:9000
//	load proxy    -listen 127.0.0.1:9001 -upstream http://127.0.0.1:9000
//	load client   -url http://127.0.0.1:9001 -streams 200 -events 100 -interval 20
//	load client   -url http://127.0.0.1:9001 -clients 32 -requests 5000
//	load client   -url http://127.0.0.1:9001 -bytes 500000000
//	load client   -url http://127.0.0.1:9001 -hold 5000
//	load client   -url http://127.0.0.1:9001 -stall 1000 -events 200 -interval 20
//
// upstream and proxy run until they are told to stop. client prints a JSON object a line: one with
// the key phase where whoever runs it is to look at the proxy, after which it waits for a line on its
// standard input; the last one is its report. It exits with 0 also when requests failed: what went
// wrong is in the report.
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
