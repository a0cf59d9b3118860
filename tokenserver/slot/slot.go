// Package slot owns the ids of recorded tokens: a place in a status list, and random bits. The place is the name of the
// record, so that the API server keeps it unique. It does not own records (package record) nor how a status list is written.
package slot

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	// Size is how many tokens a status list has room for.
	Size = 1 << 17
	// MaxLists is how many lists there can be: five digits.
	MaxLists = 100_000
	// fill is how full lists may become before there are more of them: of 16 draws one meets a place that is taken.
	fill = Size / 16

	prefix       = "token-"
	randomLength = 26
)

// ID is the id of a recorded token (jti, RFC 7519).
type ID struct {
	// List and Index are the place in the status lists.
	List, Index int
	// Random are random bits: whoever had the place before had others. They are 128 in base32, or where the id is a
	// UUID, 78 in what comes behind the place.
	Random string
}

// String is the id as tokens and records have it.
func (id ID) String() string {
	if len(id.Random) == uuidRandomLength {
		return id.uuid()
	}
	return strconv.Itoa(id.List) + "-" + strconv.Itoa(id.Index) + "-" + id.Random
}

// Name is the name of the token's record.
func (id ID) Name() string { return prefix + strconv.Itoa(id.List) + "-" + strconv.Itoa(id.Index) }

// Parse reads an id that String has written, and no other spelling of it; false for the ids of other tokens.
func Parse(text string) (ID, bool) {
	if len(text) == uuidLength && strings.IndexByte(text, '-') == uuidFirstDash {
		return parseUUID(text)
	}
	list, rest, _ := strings.Cut(text, "-")
	index, random, _ := strings.Cut(rest, "-")
	l, lok := number(list, MaxLists)
	i, iok := number(index, Size)
	if !lok || !iok || len(random) != randomLength || strings.Trim(random, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return ID{}, false
	}
	return ID{List: l, Index: i, Random: random}, true
}

// number reads a decimal number below the limit without leading zeros.
func number(text string, limit int) (int, bool) {
	if len(text) == 0 || len(text) > 6 || len(text) > 1 && text[0] == '0' || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n < limit
}

// Lists is how many lists there are to be for so many records: so many that a free place is found soon.
func Lists(records int) int { return min(max(records, 0)/fill+1, MaxLists) }

// Draw draws an id in one of so many lists.
func Draw(random io.Reader, lists int) (ID, error) {
	id, err := drawPlace(random, lists)
	if err != nil {
		return ID{}, err
	}
	id.Random, err = token.NewID(random)
	return id, err
}

func drawPlace(random io.Reader, lists int) (ID, error) {
	if lists < 1 || lists > MaxLists {
		return ID{}, fmt.Errorf("draw a place in one of %d status lists: expected 1 to %d", lists, MaxLists)
	}
	var bits [16]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return ID{}, fmt.Errorf("draw a place in a status list: %w", err)
	}
	return ID{List: int(binary.BigEndian.Uint64(bits[:8]) % uint64(lists)), Index: int(binary.BigEndian.Uint64(bits[8:]) % Size)}, nil
}
