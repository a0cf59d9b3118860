package expr

import (
	"errors"
	"fmt"
	"regexp/syntax"
)

const (
	// maxPattern is the longest regular expression in bytes.
	maxPattern = 256
	// maxPatternSize is the most that one may have of states; matching takes text times states.
	maxPatternSize = 512
)

var errPatternSize = errors.New("must be smaller: repeat less")

// patternSize returns the number of states, without ever making more of them than allowed: (a{1000}b{1000}) has few
// characters and many states.
func patternSize(text string) (uint64, error) {
	if len(text) > maxPattern {
		return 0, fmt.Errorf("must have at most %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("must be one of RE2: %w", err)
	}
	if states(parsed) > maxPatternSize {
		return 0, errPatternSize
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, fmt.Errorf("must be one of RE2: %w", err)
	}
	if len(program.Inst) > 3*maxPatternSize {
		return 0, errPatternSize
	}
	return uint64(len(program.Inst)), nil
}

// states estimates the number of states. It stops to count where there are too many, so that nothing overflows.
func states(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		if n += states(sub); n > maxPatternSize {
			return n
		}
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}
