package httpx

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// WriteJSON writes the value as the whole answer. A value that cannot be encoded is a mistake in this program, and
// panics into the recovery.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	w.Write(body.Bytes()) //nolint:errcheck // the client has gone; there is nobody left to tell
}

// WritePlainError is the encoder of endpoints without a protocol of their own: RFC 6749's form, which is the shape that
// most clients can read.
func WritePlainError(w http.ResponseWriter, _ *http.Request, e *Error) {
	w.Header().Set("Cache-Control", "no-store")
	WriteJSON(w, e.Status, map[string]string{"error": e.Code, "error_description": e.Message})
}
