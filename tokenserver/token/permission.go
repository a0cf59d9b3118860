package token

import (
	"errors"
	"maps"
	"slices"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/tokenwright/tokenwright/tokenserver/quote"
)

// Permission is what a token or a ticket says of one protected resource.
type Permission struct {
	// ID is the resource's id and Name its name for people; the name may be left out.
	ID   string `json:"rsid"`
	Name string `json:"rsname,omitempty"`
	// Scopes are what may be done with the resource, or in a ticket what is to be done.
	Scopes []string `json:"scopes,omitempty"`
	// Claims are what the resource server said of the request; see permission.ClaimsProblem.
	Claims map[string][]string `json:"claims,omitempty"`
}

// AppendJSON appends the permission as a JSON object.
func (p *Permission) AppendJSON(dst []byte) []byte {
	dst = quote.Append(append(dst, `{"rsid":`...), p.ID)
	if p.Name != "" {
		dst = quote.Append(append(dst, `,"rsname":`...), p.Name)
	}
	if len(p.Scopes) > 0 {
		dst = quote.AppendList(append(dst, `,"scopes":`...), p.Scopes)
	}
	if len(p.Claims) > 0 {
		dst = append(dst, `,"claims":{`...)
		for n, name := range slices.Sorted(maps.Keys(p.Claims)) {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = quote.AppendList(append(quote.Append(dst, name), ':'), p.Claims[name])
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// AppendPermissions appends a JSON array, an empty one also for nil.
func AppendPermissions(dst []byte, permissions []Permission) []byte {
	dst = append(dst, '[')
	for n := range permissions {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = permissions[n].AppendJSON(dst)
	}
	return append(dst, ']')
}

// errNoPermissions says that a token of ours is not one with permissions.
var errNoPermissions = errors.New("the token has no permissions that can be read")

// Permissions are those of a requesting party token, in either form, or of a permission ticket, which has them in a place of its
// own. The token must have been verified. Names are read as verifiers do: Permissions is not permissions.
func (v *Verified) Permissions() ([]Permission, error) {
	if v.Type == TypeTicket {
		return v.ticketed()
	}
	var says struct {
		Authorization struct {
			Permissions []Permission `json:"permissions"`
		} `json:"authorization"`
		Permissions []struct {
			Permission
			SetID   string `json:"resource_set_id"`
			SetName string `json:"resource_set_name"`
		} `json:"permissions"`
	}
	if err := json.Unmarshal(v.Claims, &says); err != nil {
		return nil, errNoPermissions
	}
	list := says.Authorization.Permissions
	for _, p := range says.Permissions {
		if p.ID == "" {
			p.ID, p.Name = p.SetID, p.SetName
		}
		list = append(list, p.Permission)
	}
	return list, haveIDs(list)
}

func (v *Verified) ticketed() ([]Permission, error) {
	var says struct {
		Permissions []Permission `json:"tokenwright.dev/permissions"`
	}
	if err := json.Unmarshal(v.Claims, &says); err != nil {
		return nil, errNoPermissions
	}
	return says.Permissions, haveIDs(says.Permissions)
}

// haveIDs refuses a permission that would be of every resource, or of none.
func haveIDs(list []Permission) error {
	for n := range list {
		if list[n].ID == "" {
			return errNoPermissions
		}
	}
	return nil
}
