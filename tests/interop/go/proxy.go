package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// proxyMain runs httputil.ReverseProxy as its documentation has it: it flushes an event stream at
// once by its media type, and answers with 502 and a line in its log where the upstream's framing
// is broken.
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
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(request *httputil.ProxyRequest) { request.SetURL(target) },
		Transport: transport,
	}
	return serve(*listen, http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		// Without it net/http reads on before it answers, and an early answer waits for the upload.
		if err := http.NewResponseController(writer).EnableFullDuplex(); err != nil {
			log.Printf("a request: %v", err)
		}
		proxy.ServeHTTP(writer, request)
	}))
}
