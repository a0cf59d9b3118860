package quote

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestListOfNothing(t *testing.T) {
	if got := string(AppendList([]byte("x"), nil)); got != "x[]" {
		t.Errorf("got %s", got)
	}
}

// FuzzAppend holds that nothing that a client sends can end a string, and that readers get what is meant.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{
		"", "repository:team-a/app:pull", `"`, `\`, "a\nb", "<&>", "ü", "\x00", "\x7f", "\xff", "\u2028", "😀", string(rune(0xd800)),
	} {
		f.Add(seed, "z")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		list := []string{a, b}
		want, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendList(nil, list); !slices.Equal(got, want) {
			t.Errorf("got %s, encoding/json writes %s", got, want)
		}
	})
}
