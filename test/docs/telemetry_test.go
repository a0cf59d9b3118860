package docs

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/discovery"
	"github.com/tokenwright/tokenwright/tokenserver/docker"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/ident"
	"github.com/tokenwright/tokenwright/tokenserver/oauth"
	"github.com/tokenwright/tokenwright/tokenserver/uma"
)

const endpointPage = "docs/token-endpoint.md"

var (
	code        = regexp.MustCompile("`([^`]+)`")
	grantName   = regexp.MustCompile(`(?m)^(?:const|\t)\s*name[A-Z]\w*\s*= "(\w+)"`)
	fieldColumn = regexp.MustCompile("(?m)^\\| ((?:`\\w+`(?:, )?)+) \\|")
)

// TestEveryEndpointLabelIsListed holds the table of metrics to the names that requests are counted by, and no others.
func TestEveryEndpointLabelIsListed(t *testing.T) {
	want := []string{
		docker.Name, oauth.NameIntrospect, oauth.NameRevoke, discovery.Name, discovery.NameMetadata, discovery.NameStatusLists,
		ident.NameAuthenticate, ident.NameTokens, ident.NameToken, ident.NameKeys, uma.NameAuthZEN, "none",
	}
	for _, r := range new(uma.Server).Routes() {
		want = append(want, r.Name)
	}
	_, list, _ := strings.Cut(tableRow(t, "tokenwright_server_requests_total"), "Endpoints: ")
	list, grants, _ := strings.Cut(list, "Grants: ")
	got := slices.DeleteFunc(quoted(list), func(name string) bool { return strings.HasPrefix(name, "--") })
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints (-code +page):\n%s", diff)
	}
	if !slices.Contains(quoted(grants), grant.NameUMA) {
		t.Errorf("the grants lack %q", grant.NameUMA)
	}
}

// TestEveryGrantOfTheAuditLogIsListed reads the names from the source, because nobody but their package needs them. What is
// changed without a grant is recorded by its endpoint.
func TestEveryGrantOfTheAuditLogIsListed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(controlplane.Root(), "tokenserver", "grant", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range files {
		relative, err := filepath.Rel(controlplane.Root(), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range grantName.FindAllStringSubmatch(text(t, relative), -1) {
			want = append(want, found[1])
		}
	}
	if len(want) < 10 {
		t.Fatalf("found only %q", want)
	}
	stores := []string{uma.PathResources, uma.PathRequests}
	for _, r := range new(uma.Server).Routes() {
		path, _, _ := strings.Cut(r.Path, "/{")
		if slices.Contains(stores, path) {
			want = append(want, r.Name)
		}
	}
	got := quoted(tableRow(t, "grant"))
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("the row of the field grant lacks %q", name)
		}
	}
}

// TestEveryFieldOfTheAuditLogHasARow compares the table with the record.
func TestEveryFieldOfTheAuditLogHasARow(t *testing.T) {
	_, part, _ := strings.Cut(text(t, endpointPage), "\n## Audit records\n")
	var got []string
	for _, found := range fieldColumn.FindAllStringSubmatch(part, -1) {
		got = append(got, quoted(found[1])...)
	}
	for field := range reflect.TypeFor[audit.Record]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		// The two are explained where they are counted.
		if name != "grantedOmitted" && name != "whyOmitted" && !slices.Contains(got, name) {
			t.Errorf("the field %q has no row", name)
		}
	}
}

// TestEveryPathOfUMAIsListed holds the tables of both sides of UMA to the routes.
func TestEveryPathOfUMAIsListed(t *testing.T) {
	client, server := text(t, "docs/uma.md"), text(t, "docs/uma-protection.md")
	for _, r := range new(uma.Server).Routes() {
		path, _, _ := strings.Cut(r.Path, "{")
		if !strings.Contains(client, "| `"+path) && !strings.Contains(server, "`"+path) {
			t.Errorf("neither page has %s", r.Path)
		}
	}
}

// tableRow is the row of a table of the page that begins with a name.
func tableRow(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(text(t, endpointPage)) {
		if strings.HasPrefix(line, "| `"+name+"` |") {
			return line
		}
	}
	t.Fatalf("%s has no row of %s", endpointPage, name)
	return ""
}

// quoted are the words in backquotes, sorted.
func quoted(s string) []string {
	var words []string
	for _, found := range code.FindAllStringSubmatch(s, -1) {
		words = append(words, found[1])
	}
	slices.Sort(words)
	return words
}
