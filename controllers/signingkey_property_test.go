package controllers

import (
	"flag"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTheOracleObjectsToNothing draws lives of a SigningKey, always the same ones; with -rapid.seed others, with
// -rapid.checks more of them.
func TestTheOracleObjectsToNothing(t *testing.T) {
	settle := func(name, value string) {
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
		if !given {
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	settle("rapid.seed", "1")
	settle("rapid.checks", "150")
	settle("rapid.nofailfile", "true")
	rapid.Check(t, func(draw *rapid.T) {
		if objections, said := live(draw, nil); len(objections) > 0 {
			draw.Fatalf("%s\n%s", strings.Join(objections, "\n"), strings.Join(said, "\n"))
		}
	})
}
