package main

import (
	"flag"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
)

// proxyMain is the reverse proxy of Go's standard library on one processor, set to pass everything on
// at once.
func proxyMain(arguments []string) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9001", "`address` to listen on")
	upstream := flags.String("upstream", "http://127.0.0.1:9000", "`URL` to pass requests on to")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	target, err := url.Parse(*upstream)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	transport.DisableCompression = true
	return http.ListenAndServe(*listen, &httputil.ReverseProxy{
		Rewrite:       func(request *httputil.ProxyRequest) { request.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
	})
}
