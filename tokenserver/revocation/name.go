package revocation

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// digestLength is how much of a digest is in a name: 130 bits.
const digestLength = 26

// Name is what the TokenRevocation of a target is called: the same target has the same name, so that asking twice for a
// revocation makes one. The time of a subject is part of its name.
func Name(spec v1alpha1.TokenRevocationSpec) (string, error) {
	switch {
	case spec.Token != nil && spec.Subject == nil && spec.Token.ID != "":
		return "token-" + spec.Token.ID, nil
	case spec.Subject != nil && spec.Token == nil && spec.Subject.Username != "":
		before, err := spec.Subject.IssuedBefore.Parse()
		if err != nil {
			return "", fmt.Errorf("spec.subject.issuedBefore: %w", err)
		}
		if before.Unix() < 0 {
			return "", errors.New("spec.subject.issuedBefore: expected a time after 1970")
		}
		sum := sha256.Sum256([]byte(spec.Subject.Username + "\x00" + string(spec.Subject.Audience)))
		digest := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding).EncodeToString(sum[:])
		return "subject-" + digest[:digestLength] + "-" + strconv.FormatInt(before.Unix(), 10), nil
	}
	return "", errors.New("spec: expected a token's id, or a subject")
}

// Names are what a TokenRevocation may be called, in the order in which they are to be tried: its Name, and where an object
// of that name does not cover it, such as one for a shorter time, a name that says for how long it is.
func Names(spec v1alpha1.TokenRevocationSpec) ([]string, error) {
	name, err := Name(spec)
	if err != nil {
		return nil, err
	}
	longer := "year"
	if spec.Expires != "" {
		longer = strconv.FormatInt(Time(spec.Expires).Unix(), 10)
	}
	return []string{name, name + "-" + longer}, nil
}

// Covers says whether an object revokes what is wanted, and for at least as long. One that is being deleted does not.
func Covers(there *v1alpha1.TokenRevocation, wanted v1alpha1.TokenRevocationSpec) bool {
	created := there.CreationTimestamp.Time
	return SameTarget(there.Spec, wanted) && there.DeletionTimestamp.IsZero() &&
		!Until(there.Spec, created).Before(Until(wanted, created))
}

// SameTarget says whether two revocations speak of the same tokens, whatever they say of why and until when.
func SameTarget(a, b v1alpha1.TokenRevocationSpec) bool { return entryOf(a) == entryOf(b) }
