package httpx

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
)

const jsonType = "application/json"

// ReadJSON reads the body of a request that must be JSON by its content type. What JSON it must be, and how strictly it is read, is
// the endpoint's business.
func ReadJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != jsonType {
		return nil, BadRequest("the content type must be " + jsonType)
	}
	return ReadBody(w, r)
}

// WriteJSON writes the value as the whole answer. A value that cannot be encoded is a mistake in this program, and
// panics into the recovery.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	WriteBody(w, status, body.Bytes())
}

// WriteBody writes JSON as the whole answer.
func WriteBody(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = contentTypeJSON
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client has gone; there is nobody left to tell
}

// WritePlainError is the encoder of endpoints without a protocol of their own: RFC 6749's form, which is the shape that
// most clients can read.
func WritePlainError(w http.ResponseWriter, _ *http.Request, e *Error) {
	w.Header().Set("Cache-Control", "no-store")
	WriteJSON(w, e.Status, map[string]string{"error": e.Code, "error_description": e.Message})
}
