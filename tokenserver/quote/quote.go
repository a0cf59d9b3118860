// Package quote writes texts as JSON for those who write the same few fields for every request: tokens, answers and audit
// records. What it writes is, byte for byte, what encoding/json writes. It owns no structure of anything.
package quote

import "encoding/json"

// Append appends the text as a JSON string.
func Append(dst []byte, text string) []byte {
	if !plain(text) {
		// Marshal has no error for a string: what is not UTF-8 is replaced.
		quoted, _ := json.Marshal(text)
		return append(dst, quoted...)
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}

// AppendList appends the texts as a JSON array, an empty one also for nil.
func AppendList(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = Append(dst, text)
	}
	return append(dst, ']')
}

// plain says whether the text stands for itself in JSON, also inside HTML, as encoding/json has it.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
