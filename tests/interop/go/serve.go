package main

import (
	"bytes"
	"log"
	"net"
	"net/http"
)

// refusalFields is how net/http begins its own answer to bytes that are no request. Those of
// handlers have other fields before Connection.
var refusalFields = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// serve serves `handler` on `address`. It logs what net/http keeps to itself: that something came
// that was not a request.
func serve(address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return http.Serve(watchedListener{listener}, handler)
}

type watchedListener struct{ net.Listener }

func (listener watchedListener) Accept() (net.Conn, error) {
	connection, err := listener.Listener.Accept()
	return watched{connection}, err
}

type watched struct{ net.Conn }

func (connection watched) Write(data []byte) (int, error) {
	if status, _, found := bytes.Cut(data, refusalFields); found {
		log.Printf("not a request: %s", status)
	}
	return connection.Conn.Write(data)
}
