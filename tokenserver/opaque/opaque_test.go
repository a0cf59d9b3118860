package opaque

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

const id = "0-52113-abcdefghijklmnopqrstuvwx23"

func generated(t testing.TB) Keys {
	t.Helper()
	k, err := Generate(rand.Reader, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rotated(t testing.TB, k Keys) Keys {
	t.Helper()
	next, err := k.Rotate(rand.Reader, now.Add(RotateAfter))
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func sealed(t testing.TB, k Keys) (string, Secret) {
	t.Helper()
	secret, err := NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.Seal(id, secret, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return text, secret
}

func TestWhatIsSealedOpens(t *testing.T) {
	k := generated(t)
	text, secret := sealed(t, k)
	cases := map[string]struct {
		reason string
		keys   Keys
	}{
		"The same keys":          {"another replica", k},
		"After a rotation":       {"two generations open", rotated(t, k)},
		"Read from the Secret":   {"the codec loses nothing", decoded(t, k)},
		"Rotated and read again": {"also with two generations", decoded(t, rotated(t, k))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.keys.Open(text, now)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(Refresh{ID: id, SecretHash: secret.Hash(), Expires: now.Add(time.Hour)}, got, cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if !got.Matches(secret.Hash()) || got.Matches("") {
				t.Error("the hash does not tell the secret")
			}
		})
	}
	if !IsRefresh(text) || len(text) > MaxRefresh {
		t.Errorf("%d bytes", len(text))
	}
}

func decoded(t testing.TB, k Keys) Keys {
	t.Helper()
	got, err := Decode(k.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(k) {
		t.Fatal("read others than were written")
	}
	return got
}

func TestWhatDoesNotOpen(t *testing.T) {
	k := generated(t)
	text, _ := sealed(t, k)
	other, _ := sealed(t, generated(t))
	parts := strings.Split(text, ".")
	cases := map[string]struct {
		reason string
		keys   Keys
		text   string
		at     time.Time
	}{
		"Ended":                  {"the time is sealed, too", k, text, now.Add(time.Hour)},
		"Two rotations later":    {"two generations open, not three", rotated(t, rotated(t, k)), text, now},
		"Foreign keys":           {"another installation", k, other, now},
		"No keys":                {"before the Secret is there", Keys{}, text, now},
		"Another id":             {"the id is sealed", k, strings.Replace(text, "52113", "52114", 1), now},
		"Another secret":         {"the secret is sealed", k, parts[0] + "." + strings.Repeat("A", 43) + "." + parts[2], now},
		"The seal of another":    {"a seal is of one string", k, parts[0] + "." + parts[1] + "." + strings.Split(other, ".")[2], now},
		"A later end":            {"the end is sealed", k, parts[0] + "." + parts[1] + "." + "_" + parts[2][1:], now},
		"Without the prefix":     {"the prefix is part of it", k, strings.TrimPrefix(text, refreshPrefix), now},
		"Cut off":                {"nothing is optional", k, text[:len(text)-1], now},
		"A line break in it":     {"one string is written in one way", k, text[:len(text)-3] + "\n" + text[len(text)-3:], now},
		"Padding":                {"one string is written in one way", k, text + "=", now},
		"Empty":                  {"is nothing", k, "", now},
		"The prefix alone":       {"is nothing", k, refreshPrefix, now},
		"10 KB":                  {"is not looked at", k, refreshPrefix + strings.Repeat("a", 10<<10), now},
		"A part moved to the id": {"parts do not run together", k, strings.Replace(text, ".", "-", 1), now},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := tc.keys.Open(tc.text, tc.at); !errors.Is(err, ErrNotOurs) || got != (Refresh{}) {
				t.Errorf("%s: got %v, %v", tc.reason, got, err)
			}
		})
	}
}

func TestDigests(t *testing.T) {
	k := generated(t)
	digest, err := k.Digest("credential", "uid", "alice", "$2y$10$x")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		keys    Keys
		purpose string
		parts   []string
		want    bool
	}{
		"the same":            {k, "credential", []string{"uid", "alice", "$2y$10$x"}, true},
		"after a rotation":    {rotated(t, k), "credential", []string{"uid", "alice", "$2y$10$x"}, true},
		"other parts":         {k, "credential", []string{"uid", "alice", "$2y$10$y"}, false},
		"parts cut otherwise": {k, "credential", []string{"uida", "lice", "$2y$10$x"}, false},
		"another purpose":     {k, purpose, []string{"uid", "alice", "$2y$10$x"}, false},
		"foreign keys":        {generated(t), "credential", []string{"uid", "alice", "$2y$10$x"}, false},
		"no keys":             {Keys{}, "credential", []string{"uid", "alice", "$2y$10$x"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.keys.Matches(digest, tc.purpose, tc.parts...); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
	if _, err := (Keys{}).Digest("credential"); err == nil {
		t.Error("a digest without a key")
	}
}

func TestSecretsThatAreNone(t *testing.T) {
	good := rotated(t, generated(t)).Encode()
	cases := map[string]func(map[string][]byte){
		"no current key":        func(d map[string][]byte) { delete(d, dataCurrent) },
		"a short key":           func(d map[string][]byte) { d[dataCurrent] = d[dataCurrent][:31] },
		"an empty previous key": func(d map[string][]byte) { d[dataPrevious] = nil },
		"the same key twice":    func(d map[string][]byte) { d[dataPrevious] = d[dataCurrent] },
		"no time":               func(d map[string][]byte) { delete(d, dataSince) },
		"a time that is none":   func(d map[string][]byte) { d[dataSince] = []byte("yesterday") },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for key, value := range good {
				data[key] = bytes.Clone(value)
			}
			spoil(data)
			k, err := Decode(data)
			if err == nil || k.Usable() {
				t.Fatal("was read")
			}
			if bytes.Contains([]byte(err.Error()), good[dataCurrent]) {
				t.Error("the error holds a key")
			}
		})
	}
}

// TestSecretsAreNotPrinted is a secret that somebody logs.
func TestSecretsAreNotPrinted(t *testing.T) {
	secret, err := NewSecret(bytes.NewReader(bytes.Repeat([]byte("k"), secretSize)))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%#v"} {
		if got := fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, generated(t)); got != "secretkeys" {
			t.Errorf("%s printed %s", verb, got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := generated(f)
	text, _ := sealed(f, k)
	f.Add(text)
	f.Add("twr_..")
	f.Add("twr_" + id + "..")
	f.Fuzz(func(t *testing.T, in string) {
		if got, err := k.Open(in, now); err == nil && in != text {
			t.Errorf("opened %q: %v", in, got)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	k := generated(b)
	text, _ := sealed(b, k)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(text, now); err != nil {
			b.Fatal(err)
		}
	}
}
