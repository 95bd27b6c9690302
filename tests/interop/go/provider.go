package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash"
	"io"
	"log"
	"net/http"
	"strconv"
	"sync"
)

// caseHeader names what a request belongs to, so that a test can ask about it and go on with it.
const caseHeader = "X-Case"

// errorBody is what an API says when it refuses.
const errorBody = `{"error":{"message":"no","type":"invalid_request_error"}}`

// course is how far a case has come.
type course struct {
	received int64         // bytes of its request's body so far
	sent     int64         // bytes of its response's body so far
	goOn     chan struct{} // closed when the test lets it go on
}

// provider is the API, and what a test asks it beside the gateway.
type provider struct {
	lock    sync.Mutex
	courses map[string]*course
}

func providerMain(arguments []string) error {
	flags := flag.NewFlagSet("provider", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9000", "`address` to listen on")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	api := &provider{courses: map[string]*course{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", api.stream)
	mux.HandleFunc("POST /v1/files", api.upload)
	mux.HandleFunc("POST /v1/files/refused", api.refuse)
	mux.HandleFunc("POST /v1/files/echo", api.echo)
	mux.HandleFunc("GET /v1/files/{size}/content", api.download)
	mux.HandleFunc("GET /v1/files/{size}/cut", api.cut)
	mux.HandleFunc("GET /v1/answers/{status}", api.answer)
	mux.HandleFunc("GET /progress", api.progress)
	mux.HandleFunc("POST /go-on", api.goOn)
	return serve(*listen, mux)
}

func (api *provider) course(name string) *course {
	api.lock.Lock()
	defer api.lock.Unlock()
	found := api.courses[name]
	if found == nil {
		found = &course{goOn: make(chan struct{})}
		api.courses[name] = found
	}
	return found
}

// progress tells how many bytes of a case's request have come, and how many of its response went.
func (api *provider) progress(writer http.ResponseWriter, request *http.Request) {
	found := api.course(request.Header.Get(caseHeader))
	api.lock.Lock()
	defer api.lock.Unlock()
	fmt.Fprint(writer, found.received, " ", found.sent)
}

// goOn lets a case go on that waits: a stream after its first event, an upload before it is read.
func (api *provider) goOn(writer http.ResponseWriter, request *http.Request) {
	close(api.course(request.Header.Get(caseHeader)).goOn)
}

// stream sends the events that the request asks for, each in a write of its own: the first one at
// once, the others when it may go on. If they are to be cut, it closes the connection after them,
// when it may go on.
func (api *provider) stream(writer http.ResponseWriter, request *http.Request) {
	var asked struct {
		Events []string `json:"events"`
		Cut    bool     `json:"cut"`
		Status int      `json:"status"` // an error to answer with instead
	}
	if err := json.NewDecoder(request.Body).Decode(&asked); err != nil {
		log.Printf("a request for a stream: %v", err)
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	if asked.Status != 0 {
		writer.Header().Set("Content-Type", "application/json")
		writer.WriteHeader(asked.Status)
		io.WriteString(writer, errorBody)
		return
	}
	writer.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	controller := http.NewResponseController(writer)
	for number, event := range asked.Events {
		if number == 1 {
			<-api.course(request.Header.Get(caseHeader)).goOn
		}
		io.WriteString(writer, event)
		controller.Flush()
	}
	if asked.Cut {
		<-api.course(request.Header.Get(caseHeader)).goOn
		panic(http.ErrAbortHandler)
	}
}

// receipt is what is answered to an upload.
type receipt struct {
	Length int64    `json:"length"` // as its head told it; -1 for chunks
	Coding []string `json:"coding"`
	Size   int64    `json:"size"` // of the file, as it came
	SHA256 string   `json:"sha256"`
	Fields []string `json:"fields"` // of a multipart body, in order
}

// upload reads a file, by itself or as the part "file" of a form, and answers with its receipt. If
// the query says so, it reads nothing before it may go on.
func (api *provider) upload(writer http.ResponseWriter, request *http.Request) {
	if request.URL.Query().Has("wait") {
		<-api.course(request.Header.Get(caseHeader)).goOn
	}
	file := &sink{api: api, course: api.course(request.Header.Get(caseHeader)), hash: sha256.New()}
	told := receipt{Length: request.ContentLength, Coding: request.TransferEncoding}
	if err := told.read(request, file); err != nil {
		log.Printf("an upload: %v", err)
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	told.Size = file.size
	told.SHA256 = hex.EncodeToString(file.hash.Sum(nil))
	writer.Header().Set("Content-Type", "application/json")
	json.NewEncoder(writer).Encode(told)
}

func (told *receipt) read(request *http.Request, file io.Writer) error {
	if form, err := request.MultipartReader(); err == nil {
		for {
			part, err := form.NextPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			told.Fields = append(told.Fields, part.FormName())
			if part.FormName() != "file" {
				continue
			}
			if _, err := io.Copy(file, part); err != nil {
				return err
			}
		}
	}
	_, err := io.Copy(file, request.Body)
	return err
}

// sink counts and hashes what is written to it.
type sink struct {
	api    *provider
	course *course
	hash   hash.Hash
	size   int64
}

func (file *sink) Write(data []byte) (int, error) {
	file.hash.Write(data)
	file.size += int64(len(data))
	file.api.lock.Lock()
	defer file.api.lock.Unlock()
	file.course.received = file.size
	return len(data), nil
}

// refuse answers at once and reads nothing of what is sent.
func (api *provider) refuse(writer http.ResponseWriter, request *http.Request) {
	controller := http.NewResponseController(writer)
	if err := controller.EnableFullDuplex(); err != nil {
		log.Printf("a refusal: %v", err)
	}
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(http.StatusRequestEntityTooLarge)
	io.WriteString(writer, errorBody)
	controller.Flush() // in chunks: of an answer with a length, ReverseProxy would keep the end
}

// echo answers with what is sent, as it comes.
func (api *provider) echo(writer http.ResponseWriter, request *http.Request) {
	controller := http.NewResponseController(writer)
	if err := controller.EnableFullDuplex(); err != nil {
		log.Printf("an echo: %v", err)
	}
	writer.Header().Set("Content-Type", "application/octet-stream")
	block := make([]byte, 64*1024)
	for {
		size, err := request.Body.Read(block)
		writer.Write(block[:size])
		controller.Flush()
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Printf("an echo: %v", err)
			panic(http.ErrAbortHandler)
		}
	}
}

// answer has the status that is asked for, and fields that a proxy could be tempted to mend.
func (api *provider) answer(writer http.ResponseWriter, request *http.Request) {
	status, err := strconv.Atoi(request.PathValue("status"))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	header := writer.Header()
	header["Set-Cookie"] = []string{"a=1; Path=/", "b=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT"}
	header["x-request-ID"] = []string{"req_1"}
	header.Set("ETag", `W/"1"`)
	header.Set("Vary", "Accept")
	header.Set("Cache-Control", "no-store")
	if status != http.StatusNoContent && status != http.StatusNotModified {
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", strconv.Itoa(len(errorBody)))
	}
	writer.WriteHeader(status)
	if request.Method != http.MethodHead {
		io.WriteString(writer, errorBody)
	}
}

// cut announces so many bytes, or chunks if the query says so, and closes the connection after half
// of them, when it may go on.
func (api *provider) cut(writer http.ResponseWriter, request *http.Request) {
	size, err := strconv.Atoi(request.PathValue("size"))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	writer.Header().Set("Content-Type", "application/octet-stream")
	if !request.URL.Query().Has("chunked") {
		writer.Header().Set("Content-Length", strconv.Itoa(size))
	}
	writer.Write(make([]byte, size/2))
	http.NewResponseController(writer).Flush()
	<-api.course(request.Header.Get(caseHeader)).goOn
	panic(http.ErrAbortHandler)
}

// download answers with so many bytes, which count up; in chunks if the query says so.
func (api *provider) download(writer http.ResponseWriter, request *http.Request) {
	size, err := strconv.ParseInt(request.PathValue("size"), 10, 64)
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	writer.Header().Set("Content-Type", "application/octet-stream")
	if !request.URL.Query().Has("chunked") {
		writer.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	course := api.course(request.Header.Get(caseHeader))
	block := make([]byte, 64*1024)
	for at := range block {
		block[at] = byte(at)
	}
	for left := size; left > 0; left -= int64(len(block)) {
		if left < int64(len(block)) {
			block = block[:left]
		}
		if _, err := writer.Write(block); err != nil {
			log.Printf("a download: %v", err)
			return
		}
		api.lock.Lock()
		course.sent += int64(len(block))
		api.lock.Unlock()
	}
}
