package ident

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/issue"
)

// user is the caller as Provide's clients know one. All members are always there, and none has another type where nothing is known:
// clients decode times into pointers, and metadata into a map.
type user struct {
	ID              string                     `json:"id"`
	CreatedAt       *time.Time                 `json:"created_at"`
	Name            string                     `json:"name"`
	FirstName       string                     `json:"first_name"`
	LastName        string                     `json:"last_name"`
	Email           string                     `json:"email"`
	Permissions     uint32                     `json:"permissions"`
	PrivacyAgreedAt *time.Time                 `json:"privacy_policy_agreed_at"`
	TermsAgreedAt   *time.Time                 `json:"terms_of_service_agreed_at"`
	Metadata        map[string]json.RawMessage `json:"metadata"`
}

// newUser is the user as far as policies say what it is: there are no records of users.
func newUser(username, email string, says prvd) user {
	return user{
		ID: cmp.Or(says.UserID, userID(username)), Email: email, Permissions: says.Permissions,
		Name:      member(says.Data, "name", username),
		FirstName: member(says.Data, "first_name", ""),
		LastName:  member(says.Data, "last_name", ""),
		CreatedAt: moment(says.Data, "created_at"),
		Metadata:  member(says.Data, "metadata", map[string]json.RawMessage{}),

		PrivacyAgreedAt: moment(says.Data, "privacy_policy_agreed_at"),
		TermsAgreedAt:   moment(says.Data, "terms_of_service_agreed_at"),
	}
}

// userID is the user as Provide's clients know it: the UUID of user:<uuid>, which is all that they take for an id, or the name.
func userID(username string) string { return cmp.Or(issue.UserID(username), username) }

// prvd is the claim by which Provide's services know what a caller is.
type prvd struct {
	Permissions uint32
	// UserID is the caller's id, if it is not its name.
	UserID string
	// Data are members of the caller's own.
	Data map[string]json.RawMessage
}

// claimed is what policies say in the claim prvd; nothing where they say it in another form.
func claimed(application map[string]json.RawMessage) prvd {
	says := member(application, "prvd", map[string]json.RawMessage{})
	return prvd{
		Permissions: member(says, "permissions", uint32(0)), UserID: member(says, "user_id", ""), Data: member(says, "data", map[string]json.RawMessage{}),
	}
}

// member reads a member of an object; it is unsaid where there is none, null, or one of another type: a policy that was written
// for other services must keep nobody from logging in.
func member[T any](object map[string]json.RawMessage, name string, unsaid T) T {
	var value *T
	if err := json.Unmarshal(object[name], &value); err != nil || value == nil {
		return unsaid
	}
	return *value
}

// moment reads a member that is a time of RFC 3339; nil where there is none. What is read can be wider than what may be written: an
// offset of a day, for one.
func moment(object map[string]json.RawMessage, name string) *time.Time {
	at := member[*time.Time](object, name, nil)
	if at == nil {
		return nil
	}
	if _, err := at.MarshalJSON(); err != nil {
		return nil
	}
	return at
}
