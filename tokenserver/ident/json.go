package ident

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// contentType is that of all answers.
const contentType = "application/json; charset=UTF-8"

// write writes the value as the whole answer, which nobody may keep. A value that cannot be encoded is a mistake in this
// program, and panics into the recovery.
func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Cache-Control", "no-store")
	writeBody(w, status, encode(value))
}

func encode(value any) []byte {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "    ")
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return body.Bytes()
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client has gone; there is nobody left to tell
}

// read reads the body, which must be one JSON object. Fields that are not known mean nothing: clients send many.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := httpx.ReadJSON(w, r)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(into); err != nil {
		return httpx.BadRequest("the body must be a JSON object with texts") // the cause would quote it
	}
	if _, err := decoder.Token(); err != io.EOF {
		return httpx.BadRequest("the body must be one JSON object")
	}
	return nil
}
