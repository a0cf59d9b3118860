package slot

import (
	"fmt"
	"io"
	"strconv"

	"github.com/google/uuid"
)

// A UUID of a recorded token is LLLLLIII-IIIr-8rrr-vrrr-rrrrrrrrrrrr: the list and the index in decimal digits, so that the schema of
// a record can hold its name to it, and 78 random bits. Its version is that of UUIDs whose bits are the application's own (RFC 9562,
// section 5.8).
const (
	uuidLength = 36
	// uuidFirstDash is further right than that of another id, whose list has five digits at most.
	uuidFirstDash = 8
	// uuidPlaceEnd is where the place ends, and uuidVersionAt where the version is.
	uuidPlaceEnd, uuidVersionAt = 12, 14
	uuidVersion                 = '8'
	uuidRandomLength            = uuidLength - uuidPlaceEnd
)

// DrawUUID draws an id in one of so many lists that is a UUID, for clients that take nothing else.
func DrawUUID(random io.Reader, lists int) (ID, error) {
	id, err := drawPlace(random, lists)
	if err != nil {
		return ID{}, err
	}
	drawn, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return ID{}, fmt.Errorf("draw a token id: %w", err)
	}
	text := []byte(drawn.String())
	text[uuidVersionAt] = uuidVersion
	id.Random = string(text[uuidPlaceEnd:])
	return id, nil
}

func (id ID) uuid() string {
	place := fmt.Sprintf("%05d%06d", id.List, id.Index)
	return place[:uuidFirstDash] + "-" + place[uuidFirstDash:] + id.Random
}

func parseUUID(text string) (ID, bool) {
	u, err := uuid.Parse(text)
	if err != nil || u.String() != text || text[uuidVersionAt] != uuidVersion || u.Variant() != uuid.RFC4122 {
		return ID{}, false
	}
	list, lerr := strconv.ParseUint(text[:5], 10, 32)
	index, ierr := strconv.ParseUint(text[5:uuidFirstDash]+text[uuidFirstDash+1:uuidPlaceEnd], 10, 32)
	if lerr != nil || ierr != nil || index >= Size {
		return ID{}, false
	}
	return ID{List: int(list), Index: int(index), Random: text[uuidPlaceEnd:]}, true
}
