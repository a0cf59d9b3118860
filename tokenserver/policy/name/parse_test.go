package name

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		grammar Grammar
		text    string
		want    []Kind
	}{
		"literal segments":                  {Repository, "team-a/app", []Kind{Literal, Literal}},
		"one star is a segment":             {Repository, "team-a/*", []Kind{Literal, Any}},
		"stars in text":                     {Repository, "app-*/*x/*y*", []Kind{Glob, Glob, Glob}},
		"two stars are segments":            {Repository, "**/a/**", []Kind{Deep, Literal, Deep}},
		"two stars count as one":            {Repository, "**/**/**/**", []Kind{Deep, Deep, Deep, Deep}},
		"a host with a port":                {Repository, "localhost:5000/a", []Kind{Literal, Literal}},
		"dots in text":                      {Repository, "a.b/...", []Kind{Literal, Literal}},
		"characters of regular expressions": {Repository, "a?[b]{c}^$/\\d+|(e)", []Kind{Literal, Literal}},
		"a dollar alone":                    {Repository, "a$b/$/}", []Kind{Literal, Literal, Literal}},
		"dots as segments elsewhere":        {Path, "a/../b", []Kind{Literal, Literal, Literal}},
		"placeholders":                      {Repository, "u/${subject.username}/x-${subject.extra.k}-*", []Kind{Literal, Template, Template}},
		"all placeholders":                  {Repository, "${subject.username}/${subject.namespace}/${subject.serviceAccount}/${subject.extra.a}", []Kind{Template, Template, Template, Template}},
		"a key with a slash":                {Repository, "${subject.extra.example.com/team}/x", []Kind{Template, Literal}},
		"an audience is one text":           {Audience, "https://a.example.com:8443/b//c", []Kind{Literal}},
		"every audience":                    {Audience, "*", []Kind{Any}},
		"stars in an audience":              {Audience, "https://*.example.com/*", []Kind{Glob}},
		"a placeholder in an audience":      {Audience, "https://${subject.namespace}.example.com/", []Kind{Template}},
		"a subject of NATS":                 {NATS, "a.*.b/c.>", []Kind{Literal, Any, Literal, Rest}},
		"only the rest":                     {NATS, ">", []Kind{Rest}},
		"a placeholder in a subject":        {NATS, "user.${subject.username}.>", []Kind{Literal, Template, Rest}},
		"reserved subjects":                 {NATS, "$SYS.REQ.>", []Kind{Literal, Literal, Rest}},
		"16 segments":                       {Repository, strings.Repeat("a/", 15) + "a", kinds(Literal, 16)},
		"256 characters":                    {Repository, strings.Repeat("ä", 256), []Kind{Literal}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(c.grammar, c.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []Kind
			for _, s := range p.Segments() {
				got = append(got, s.Kind())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if p.String() != c.text {
				t.Errorf("got text %q", p.String())
			}
		})
	}
}

func kinds(k Kind, n int) []Kind {
	list := make([]Kind, n)
	for i := range list {
		list[i] = k
	}
	return list
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct {
		grammar    Grammar
		text, want string
	}{
		"nothing":                              {Repository, "", "empty"},
		"a slash at the start":                 {Repository, "/a", "empty segment"},
		"a slash at the end":                   {Repository, "a/", "empty segment"},
		"two slashes":                          {Repository, "a//b", "empty segment"},
		"only a slash":                         {Repository, "/", "empty segment"},
		"two stars after text":                 {Repository, "a**", "alone"},
		"two stars before text":                {Repository, "**a/b", "alone"},
		"three stars":                          {Repository, "***", "alone"},
		"two stars before a placeholder":       {Repository, "**${subject.username}", "alone"},
		"two stars in an audience":             {Audience, "https://**/x", "alone"},
		"only two stars in an audience":        {Audience, "**", "alone"},
		"five stars":                           {Repository, "*/*/*/*/*", "at most 4 stars"},
		"five stars in one segment":            {Repository, "*a*b*c*d*", "at most 4 stars"},
		"five stars of both kinds":             {Repository, "**/*/a*b*c/**", "at most 4 stars"},
		"17 segments":                          {Repository, strings.Repeat("a/", 16) + "a", "at most 16 segments"},
		"257 characters":                       {Repository, strings.Repeat("ä", 257), "at most 256 characters"},
		"a line feed":                          {Repository, "a\nb", "control"},
		"a zero byte":                          {Repository, "a\x00b", "control"},
		"broken UTF-8":                         {Repository, "a\xff", "UTF-8"},
		"a dot":                                {Repository, "a/./b", `segment "."`},
		"two dots":                             {Repository, "team-a/../team-b/**", `segment ".."`},
		"an unknown placeholder":               {Repository, "${account}/x", "unknown"},
		"a placeholder of docker_auth":         {Repository, "${labels:team}/x", "unknown"},
		"another case":                         {Repository, "${subject.Username}", "unknown"},
		"white space in a placeholder":         {Repository, "${ subject.username }", "unknown"},
		"an empty placeholder":                 {Repository, "${}", "unknown"},
		"extra without a key":                  {Repository, "${subject.extra}", "unknown"},
		"extra with an empty key":              {Repository, "${subject.extra.}", "must have a key"},
		"a placeholder in a placeholder":       {Repository, "${subject.extra.${subject.username}}", "must have a key"},
		"a star in a key":                      {Repository, "${subject.extra.*}", "must have a key"},
		"an unclosed placeholder":              {Repository, "a/${subject.username", "closed"},
		"an unclosed placeholder with a slash": {Repository, "a/${subject.username/b", "closed"},
		"only an opening":                      {Repository, "${", "closed"},
		"an empty token":                       {NATS, "a..b", "empty segment"},
		"a dot at the end":                     {NATS, "a.", "empty segment"},
		"a star in a token":                    {NATS, "foo*", "alone"},
		"the rest in a token":                  {NATS, "foo>.a", "alone"},
		"the rest in the middle":               {NATS, "a.>.b", "last"},
		"two stars in a subject":               {NATS, "a.**", "alone"},
		"a space in a subject":                 {NATS, "a b", "white space"},
		"a wide space in a subject":            {NATS, "a\u2003b", "white space"},
		"a star beside a placeholder":          {NATS, "${subject.username}*", "alone"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.grammar, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	long := strings.Repeat("a/", MaxAskedSegments-1) + "a"
	cases := map[string]struct {
		grammar Grammar
		text    string
		want    []string
	}{
		"segments":                        {Repository, "a/b/c", []string{"a", "b", "c"}},
		"one segment":                     {Repository, "a", []string{"a"}},
		"a host and port":                 {Repository, "h:5000/a", []string{"h:5000", "a"}},
		"the most segments":               {Repository, long, strings.Split(long, "/")},
		"dots of a resource":              {Path, "a/../b", []string{"a", "..", "b"}},
		"a star of a resource":            {Path, "a/*", []string{"a", "*"}},
		"an audience is one":              {Audience, "https://a//b/", []string{"https://a//b/"}},
		"a subject":                       {NATS, "a.b/c", []string{"a", "b/c"}},
		"nothing":                         {Repository, "", nil},
		"a segment too many":              {Repository, long + "/a", nil},
		"10,000 segments":                 {Repository, strings.Repeat("a/", 10_000) + "a", nil},
		"10,000 empty segments":           {Repository, strings.Repeat("/", 10_000), nil},
		"an empty segment":                {Repository, "a//b", nil},
		"an empty first segment":          {Repository, "/a", nil},
		"an empty last segment":           {Repository, "a/", nil},
		"up and over":                     {Repository, "team-a/../team-b/x", nil},
		"the same place":                  {Repository, "team-a/./x", nil},
		"up at the end":                   {Repository, "team-a/..", nil},
		"a name that looks like a glob":   {Repository, "team-a/*", nil},
		"a control character":             {Repository, "a\nb", nil},
		"a zero byte in an audience":      {Audience, "https://a\x00b", nil},
		"a zero byte in a subject":        {NATS, "a\x00.b", nil},
		"257 bytes":                       {Audience, strings.Repeat("a", 257), nil},
		"a subject with a wildcard":       {NATS, "a.*", nil},
		"a subject with the rest":         {NATS, "a.>", nil},
		"a subject with an empty token":   {NATS, "a..b", nil},
		"a subject with a space":          {NATS, "a b", nil},
		"a subject with an odd space":     {NATS, "a\u2003b", nil},
		"a subject with a star in a word": {NATS, "a*.b", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := Split(c.grammar, c.text, nil)
			if diff := cmp.Diff(c.want, got); diff != "" || ok != (c.want != nil) {
				t.Errorf("%v %s", ok, diff)
			}
		})
	}
}
