package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// A block of the page, and what a shell makes one word of.
var (
	pageBlock = regexp.MustCompile("(?s)\n```(sh|json|yaml)\n(.*?\n)```\n")
	shellWord = regexp.MustCompile(`'([^']*)'|"([^"]*)"|([^\s'"\\]+)`)
)

// protectionPage are the blocks of docs/uma-protection.md, in their order.
type protectionPage struct {
	policy, registered, asked               string
	pat, register, permission, evaluateCurl string
}

// TestTheProtectionPageHolds does what docs/uma-protection.md shows, and compares what comes out.
func TestTheProtectionPageHolds(t *testing.T) {
	page := readPage(t)
	w := startUMA(t, nil)
	if err := w.plane.Client.Delete(t.Context(), &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "protects"}}); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "nobody protects anything", func() bool { return w.protector(t, "shop", "orders", ordersAPI).text("scope") == "" })
	account, err := w.plane.ServiceAccountToken(t.Context(), "shop", "orders", time.Hour, "tokenwright")
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"$SERVICE_ACCOUNT_TOKEN": account}
	policy := &v1alpha1.ClusterAccessPolicy{}
	if err := yaml.UnmarshalStrict([]byte(page.policy), policy); err != nil {
		t.Fatal(err)
	}
	w.create(t, policy)
	w.eventually(t, "the page's policy gives the scope", func() bool { return w.curl(t, page.pat, variables).text("scope") != "" })
	variables["$PAT"] = w.curl(t, page.pat, variables).text("access_token")

	registered := w.curl(t, page.register, variables)
	registered.says(t, "what is registered", http.StatusCreated, strings.TrimSpace(page.registered))
	if ticket := w.curl(t, page.permission, variables); ticket.status != http.StatusCreated || ticket.text("ticket") == "" {
		t.Errorf("the ticket: %d %s", ticket.status, ticket.body)
	}
	w.curl(t, page.evaluateCurl, variables).says(t, "the decision", http.StatusOK, `{"decision":true}`)
	w.asksAsThePage(t, registered.text("_id"), page.asked)
}

// asksAsThePage compares all of a request but its id, in which a uid is.
func (w *umaWorld) asksAsThePage(t *testing.T, id, shown string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"resource": id, "scopes": []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	if answer := w.json(t, http.MethodPost, requests, w.user(t, "bob", ordersAPI), string(body)); answer.status != http.StatusCreated {
		t.Fatalf("bob asks: %d %s", answer.status, answer.body)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte(shown), &want); err != nil {
		t.Fatal(err)
	}
	alice := w.user(t, "alice", ordersAPI)
	w.eventually(t, "alice sees the request", func() bool { return len(decode[[]any](t, w.json(t, http.MethodGet, requests, alice, ""))) > 0 })
	got := decode[[]map[string]any](t, w.json(t, http.MethodGet, requests, alice, ""))
	for _, one := range append(got, want) {
		name, _ := one["id"].(string)
		if !strings.HasPrefix(name, "shop/preq-") {
			t.Errorf("the id is %q", name)
		}
		delete(one, "id")
	}
	if diff := cmp.Diff([]map[string]any{want}, got); diff != "" {
		t.Errorf("what alice is asked (-page +got):\n%s", diff)
	}
}

func readPage(t *testing.T) *protectionPage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "uma-protection.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := &protectionPage{}
	places := []struct {
		language string
		to       *string
	}{
		{"yaml", &page.policy}, {"sh", &page.pat}, {"sh", &page.register}, {"json", &page.registered}, {"sh", &page.permission},
		{"json", &page.asked}, {"sh", &page.evaluateCurl},
	}
	blocks := pageBlock.FindAllSubmatch(text, -1)
	if len(blocks) != len(places) {
		t.Fatalf("the page has %d blocks, and %d are known", len(blocks), len(places))
	}
	for n, place := range places {
		if got := string(blocks[n][1]); got != place.language {
			t.Fatalf("block %d is %s, not %s", n+1, got, place.language)
		}
		*place.to = string(blocks[n][2])
	}
	return page
}

// curl sends what a command of the page would.
func (w *world) curl(t *testing.T, command string, variables map[string]string) reply {
	t.Helper()
	var words []string
	for _, found := range shellWord.FindAllStringSubmatch(command, -1) {
		word := found[2] + found[3]
		for name, value := range variables {
			word = strings.ReplaceAll(word, name, value)
		}
		words = append(words, found[1]+word)
	}
	var (
		address, user string
		data          []string
		header        = http.Header{}
	)
	for n := 1; n < len(words); n++ {
		if at, isURL := strings.CutPrefix(words[n], "https://auth.example.com"); isURL {
			address = w.url + at
			continue
		}
		if n+1 == len(words) {
			t.Fatalf("%q has no value", words[n])
		}
		option, value := words[n], words[n+1]
		n++
		name, rest, _ := strings.Cut(value, "=")
		switch option {
		case "--user":
			user = value
		case "-H":
			name, rest, _ := strings.Cut(value, ": ")
			header.Set(name, rest)
		case "--data":
			data = append(data, value)
		case "--data-urlencode":
			data = append(data, name+"="+url.QueryEscape(rest))
		default:
			t.Fatalf("what curl does with %q is not known here", option)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader([]byte(strings.Join(data, "&"))))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if name, password, found := strings.Cut(user, ":"); found {
		request.SetBasicAuth(name, password)
	}
	return w.do(t, request)
}
