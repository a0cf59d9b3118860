package uma

import (
	"bytes"
	"io"
	"net/http"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// readJSON reads the body, which must be one JSON value of the form. Names are compared letter by letter, and none may come
// twice: of two, each reader would take another. Fields that are not known mean nothing.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := httpx.ReadJSON(w, r)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(into); err != nil {
		return httpx.BadRequest("the body is not JSON of the form that is expected here") // the cause would quote it
	}
	if _, err := decoder.Token(); err != io.EOF { //nolint:errorlint // the decoder returns it as it is
		return httpx.BadRequest("the body must be one JSON value")
	}
	return nil
}
