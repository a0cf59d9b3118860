package uma

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// description is what a resource server says of a resource (UMA 2.0, Federated Authorization, section 3.1), with what Keycloak
// adds. Scopes and owners come as text or as objects.
type description struct {
	ID           string              `json:"_id"`
	Name         string              `json:"name"`
	DisplayName  string              `json:"displayName"`
	Description  string              `json:"description"`
	Icon         string              `json:"icon_uri"`
	Type         string              `json:"type"`
	Owner        named               `json:"owner"`
	OwnerManaged *bool               `json:"ownerManagedAccess"`
	Scopes       []named             `json:"resource_scopes"`
	OtherScopes  []named             `json:"scopes"`
	URIs         []string            `json:"uris"`
	Attributes   map[string][]string `json:"attributes"`
}

// named is a text, or an object with a name.
type named string

// UnmarshalJSON implements json.Unmarshaler.
func (n *named) UnmarshalJSON(data []byte) error {
	var object struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	var text string
	if json.Unmarshal(data, &text) == nil {
		*n = named(text)
		return nil
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return errors.New("neither a text nor an object")
	}
	switch {
	case object.Name != "" && object.ID != "" && object.Name != object.ID:
		return errors.New("id and name must be the same") // of two, each reader would take another
	case object.Name == "":
		object.Name = object.ID
	}
	*n = named(object.Name)
	return nil
}

// extras are the members that a ProtectedResource has no field for. They are attributes of it.
func (d *description) extras() map[string]string {
	return map[string]string{"displayName": d.DisplayName, "description": d.Description, "icon_uri": d.Icon}
}

// extraNames are sorted. Nobody changes them.
var extraNames = []string{"description", "displayName", "icon_uri"}

// attributeBytes is how much a resource server wants to have kept here for itself. It is never less than the characters that the
// object is held to.
func (d *description) attributeBytes() int {
	size := 0
	for name, value := range d.extras() {
		if value != "" {
			size += len(name) + len(value)
		}
	}
	for key, values := range d.Attributes {
		size += len(key)
		for _, value := range values {
			size += len(value)
		}
	}
	return size
}

// check refuses what no object could say.
func (d *description) check() error {
	if d.Name == "" {
		return httpx.BadRequest("name is missing")
	}
	if d.Scopes != nil && d.OtherScopes != nil {
		return httpx.BadRequest("resource_scopes and scopes cannot be given together")
	}
	if d.attributeBytes() > resource.MaxAttributes {
		return httpx.BadRequest("attributes, displayName, description and icon_uri have more than 8 KiB")
	}
	for _, name := range extraNames {
		if _, both := d.Attributes[name]; both {
			return httpx.BadRequest("attributes must not have " + name + ": it is a member of its own")
		}
	}
	return nil
}

// spec is the description as an object has it. The defaults of the schema are spelled out, so that what is stored is equal.
func (d *description) spec(audience, id string) v1alpha1.ProtectedResourceSpec {
	spec := v1alpha1.ProtectedResourceSpec{
		ID: id, DisplayName: d.Name, Type: d.Type, Owner: string(d.Owner), OwnerManagedAccess: v1alpha1.Forbidden,
		Audience: v1alpha1.Audience(audience),
	}
	if spec.Type == "" {
		spec.Type = resource.DefaultType
	}
	if d.OwnerManaged != nil && *d.OwnerManaged {
		spec.OwnerManagedAccess = v1alpha1.Allowed
	}
	for _, s := range append(slices.Clone(d.Scopes), d.OtherScopes...) {
		spec.Scopes = append(spec.Scopes, v1alpha1.ResourceScope(s))
	}
	for _, u := range d.URIs {
		spec.URIs = append(spec.URIs, v1alpha1.ResourceURI(u))
	}
	for _, key := range slices.Sorted(maps.Keys(d.Attributes)) {
		spec.Attributes = append(spec.Attributes, v1alpha1.ResourceAttribute{Key: key, Values: d.Attributes[key]})
	}
	extras := d.extras()
	for _, name := range extraNames {
		if extras[name] != "" {
			spec.Attributes = append(spec.Attributes, v1alpha1.ResourceAttribute{Key: name, Values: []string{extras[name]}})
		}
	}
	return spec
}

// members are what a description calls the fields of a spec.
var members = strings.NewReplacer(
	"spec.displayName", "name", "spec.id", "_id", "spec.scopes", "resource_scopes", "metadata.namespace", "namespace", "spec.", "",
)

// maxProblems is how many problems are named at once.
const maxProblems = 8

// invalid says what is wrong with a description.
func invalid(problems []policy.Problem) error {
	var texts []string
	for _, p := range problems[:min(len(problems), maxProblems)] {
		texts = append(texts, members.Replace(p.Path)+": "+p.Message)
	}
	return httpx.BadRequest(strings.Join(texts, "; "))
}

// described is the resource in an answer.
func (s *Server) described(r *resource.Resource) map[string]any {
	body := map[string]any{
		"_id": r.ID, "name": r.Name, "type": r.Type, "ownerManagedAccess": r.OwnerManaged, "resource_scopes": r.Scopes,
		"uris": append([]string{}, r.URIs...),
	}
	if r.Owner != "" {
		body["owner"] = r.Owner
	}
	attributes := map[string][]string{}
	for key, values := range r.Attributes {
		if slices.Contains(extraNames, key) && len(values) == 1 {
			body[key] = values[0]
			continue
		}
		attributes[key] = append([]string{}, values...)
	}
	if len(attributes) > 0 {
		body["attributes"] = attributes
	}
	if s.Keycloak {
		scopes := make([]map[string]string, len(r.Scopes))
		for n, scope := range r.Scopes {
			scopes[n] = map[string]string{"name": scope}
		}
		body["resource_scopes"] = scopes
		if r.Owner != "" {
			body["owner"] = map[string]string{"id": r.Owner, "name": r.Owner}
		}
	}
	return body
}
