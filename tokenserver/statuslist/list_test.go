package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// decode is what a verifier does.
func decode(t interface {
	Helper()
	Fatal(args ...any)
}, text string,
) []byte {
	t.Helper()
	compressed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return bits
}

// TestVector is the example of the draft, section 4.1: 16 tokens.
func TestVector(t *testing.T) {
	statuses := []int{1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1}
	l := New(len(statuses))
	for index, status := range statuses {
		if status == 0 {
			l.Valid(index)
		}
	}
	text, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	published := decode(t, "eNrbuRgAAhcBXQ")
	if got := decode(t, text); !bytes.Equal(got, published) || !bytes.Equal(got, []byte{0xb9, 0xa3}) {
		t.Errorf("got %x, the draft has %x", got, published)
	}
}

func TestSizes(t *testing.T) {
	const size = 1 << 17
	all := New(size)
	for index := range size {
		all.Valid(index)
	}
	cases := map[string]struct {
		list *List
		bits byte
	}{
		"a list of which nothing is known": {New(size), 0xff},
		"a list of valid tokens":           {all, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := c.list.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if got := decode(t, text); !bytes.Equal(got, bytes.Repeat([]byte{c.bits}, size/8)) {
				t.Errorf("got %d bytes, the first %x", len(got), got[:1])
			}
			if len(text) > 100 {
				t.Errorf("16 KiB of the same take %d characters", len(text))
			}
		})
	}
}

func TestListSaysWhatWasSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 200).Draw(t, "size")
		valid := rapid.SliceOf(rapid.IntRange(-5, 250)).Draw(t, "valid")
		l, same := New(size), New(size)
		for _, index := range valid {
			l.Valid(index)
		}
		for _, index := range slices.Backward(valid) {
			same.Valid(index)
		}
		if !l.Equal(same) {
			t.Fatal("the order matters")
		}
		text, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		bits := decode(t, text)
		for index := range size {
			if got := bits[index/8]>>(index%8)&1 == 0; got != slices.Contains(valid, index) {
				t.Fatalf("index %d: valid %v", index, got)
			}
		}
	})
}

func TestClaims(t *testing.T) {
	cases := map[string]struct {
		reason, aggregation string
		list                map[string]any
	}{
		"Nowhere are all lists named": {"the claim is optional", "", map[string]any{"bits": 1.0, "lst": "eNr"}},
		"All lists are named": {
			"a verifier of one finds the others", AggregationURI("https://auth.example.com/"),
			map[string]any{"bits": 1.0, "lst": "eNr", "aggregation_uri": "https://auth.example.com/statuslists"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claims := Claims{
				Subject: URI("https://auth.example.com/", 3), IssuedAt: 1, Expiry: 2, TTL: 3, Encoded: "eNr", Aggregation: tc.aggregation,
			}
			var got any
			if err := json.Unmarshal(claims.AppendJSON(nil), &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{
				"sub": "https://auth.example.com/statuslists/3", "iat": 1.0, "exp": 2.0, "ttl": 3.0, "status_list": tc.list,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
