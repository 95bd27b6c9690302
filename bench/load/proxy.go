package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
)

// proxyMain is the reverse proxy of Go's standard library on one processor, set to pass everything on
// at once.
func proxyMain(arguments []string) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9001", "`address` to listen on")
	upstream := flags.String("upstream", "http://127.0.0.1:9000", "`URL` to pass requests on to")
	ca := flags.String("ca", "", "PEM `file` with whom to trust, if not whom the system trusts")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	target, err := url.Parse(*upstream)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 256
	transport.DisableCompression = true
	if *ca != "" {
		text, err := os.ReadFile(*ca)
		if err != nil {
			return err
		}
		trusted := x509.NewCertPool()
		if !trusted.AppendCertsFromPEM(text) {
			return errors.New(*ca + " has no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	}
	return http.ListenAndServe(*listen, &httputil.ReverseProxy{
		Rewrite:       func(request *httputil.ProxyRequest) { request.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
	})
}
