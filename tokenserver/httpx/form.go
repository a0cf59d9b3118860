package httpx

import (
	"mime"
	"net/http"
	"net/url"
)

const formType = "application/x-www-form-urlencoded"

// ReadForm reads the body of a POST as OAuth has it (RFC 6749, appendix B). The query means nothing.
func ReadForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != formType {
		return nil, BadRequest("the content type must be " + formType)
	}
	body, err := ReadBody(w, r)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, BadRequest("the form is malformed")
	}
	return form, nil
}

// Once refuses a form that has one of the parameters twice (RFC 6749, section 3.1): of two, each reader would take another.
func Once(form url.Values, names ...string) error {
	for _, name := range names {
		if len(form[name]) > 1 {
			return BadRequest(name + " must not be given more than once")
		}
	}
	return nil
}
