package zitadel

import (
	"context"
	"fmt"
	"strconv"
)

const (
	// rows is how many rows a page has at most; servers may give fewer.
	rows = 1000
	// maxRows bounds what is listed of one user.
	maxRows = 100_000
)

// Authorizations are the ids of the authorizations (v1: user grants) of the
// token's user: what can be changed by id alone.
func (c *Client) Authorizations(ctx context.Context, authorization []string) ([]string, error) {
	const path = "/auth/v1/usergrants/me/_search"
	return pages(path, func(offset int) (page []string, total string, err error) {
		var answer struct {
			Details struct{ TotalResult string }
			Result  []struct{ GrantID string }
		}
		body := map[string]any{"query": map[string]any{"offset": strconv.Itoa(offset), "limit": rows, "asc": true}}
		err = c.ask(ctx, path, authorization, body, &answer)
		for _, r := range answer.Result {
			page = append(page, r.GrantID)
		}
		return page, answer.Details.TotalResult, err
	})
}

// Sessions are the ids of the sessions of a user, as the user itself asks: it
// may see its own without any role.
func (c *Client) Sessions(ctx context.Context, authorization []string, userID string) ([]string, error) {
	const path = "/zitadel.session.v2.SessionService/ListSessions"
	return pages(path, func(offset int) (page []string, total string, err error) {
		var answer struct {
			Details  struct{ TotalResult string }
			Sessions []struct{ ID string }
		}
		body := map[string]any{
			"query":         map[string]any{"offset": strconv.Itoa(offset), "limit": rows, "asc": true},
			"queries":       []any{map[string]any{"userIdQuery": map[string]any{"id": userID}}},
			"sortingColumn": "SESSION_FIELD_NAME_CREATION_DATE",
		}
		err = c.ask(ctx, path, authorization, body, &answer)
		for _, s := range answer.Sessions {
			page = append(page, s.ID)
		}
		return page, answer.Details.TotalResult, err
	})
}

// pages asks for page after page: until one is empty, or as many rows came as
// there are in all. Rows without an id are left out.
func pages(path string, ask func(offset int) (page []string, total string, err error)) ([]string, error) {
	var ids []string
	for offset := 0; offset < maxRows; {
		page, total, err := ask(offset)
		if err != nil {
			return nil, err
		}
		offset += len(page)
		for _, id := range page {
			if id != "" {
				ids = append(ids, id)
			}
		}
		if n, _ := strconv.Atoi(total); len(page) == 0 || offset >= n && len(page) < rows {
			return ids, nil
		}
	}
	return nil, fmt.Errorf("asking zitadel for %s: there are more than %d", path, maxRows)
}
