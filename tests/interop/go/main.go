// The peers of the interoperability tests that are written in Go: an API that net/http serves, and
// the reverse proxy of Go's standard library. One binary with two modes:
//
//	peer provider -listen 127.0.0.1:9000
//	peer proxy    -listen 127.0.0.1:9001 -upstream http://127.0.0.1:9000
//
// Both run until they are told to stop. Whatever net/http or the proxy complains about goes to
// standard error, which is otherwise empty.
package main

import (
	"fmt"
	"os"
)

func main() {
	modes := map[string]func(arguments []string) error{
		"provider": providerMain,
		"proxy":    proxyMain,
	}
	if len(os.Args) > 1 {
		if mode, known := modes[os.Args[1]]; known {
			if err := mode(os.Args[2:]); err != nil {
				fmt.Fprintf(os.Stderr, "peer %s: %v\n", os.Args[1], err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: peer provider|proxy [options]; -h after a mode lists them")
	os.Exit(2)
}
