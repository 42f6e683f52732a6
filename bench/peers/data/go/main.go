// Go's net/http with pgx and redigo.
package main

import (
	"context"
	"encoding/json"
	"html/template"
	"math/rand"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const (
	rows       = 10000
	selectOne  = `select id, randomnumber from world where id = $1`
	updateOne  = `update world set randomnumber = $2 where id = $1`
	selectAll  = `select id, message from fortune`
	additional = "Additional fortune added at request time."
)

type world struct {
	ID           int `json:"id"`
	RandomNumber int `json:"randomNumber"`
}

type fortune struct {
	ID      int
	Message string
}

var page = template.Must(template.New("fortunes").Parse(
	`<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>` +
		`{{range .}}<tr><td>{{.ID}}</td><td>{{.Message}}</td></tr>{{end}}</table></body></html>`))

var (
	pool  *pgxpool.Pool
	cache *redis.Pool
)

func random() int { return 1 + rand.Intn(rows) }

func count(r *http.Request) int {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	if n < 1 {
		return 1
	}
	if n > 500 {
		return 500
	}
	return n
}

func answer(w http.ResponseWriter, value interface{}, err error) {
	body, problem := json.Marshal(value)
	if err != nil || problem != nil {
		http.Error(w, "failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

func one(ctx context.Context) (found world, err error) {
	err = pool.QueryRow(ctx, selectOne, random()).Scan(&found.ID, &found.RandomNumber)
	return found, err
}

// many are read in one batch: pgx sends all of it before it reads.
func many(ctx context.Context, n int) ([]world, error) {
	batch := &pgx.Batch{}
	for i := 0; i < n; i++ {
		batch.Queue(selectOne, random())
	}
	results := pool.SendBatch(ctx, batch)
	defer results.Close()
	found := make([]world, n)
	for i := range found {
		if err := results.QueryRow().Scan(&found[i].ID, &found[i].RandomNumber); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func updates(w http.ResponseWriter, r *http.Request) {
	found, err := many(r.Context(), count(r))
	if err != nil {
		answer(w, nil, err)
		return
	}
	for i := range found {
		found[i].RandomNumber = random()
	}
	changes := append([]world(nil), found...)
	sort.Slice(changes, func(i, j int) bool { return changes[i].ID < changes[j].ID })
	batch := &pgx.Batch{}
	for _, change := range changes {
		batch.Queue(updateOne, change.ID, change.RandomNumber)
	}
	answer(w, found, pool.SendBatch(r.Context(), batch).Close())
}

func fortunes(w http.ResponseWriter, r *http.Request) {
	result, err := pool.Query(r.Context(), selectAll)
	if err != nil {
		http.Error(w, "failed", http.StatusInternalServerError)
		return
	}
	defer result.Close()
	found := make([]fortune, 0, 16)
	for result.Next() {
		var one fortune
		if err := result.Scan(&one.ID, &one.Message); err != nil {
			http.Error(w, "failed", http.StatusInternalServerError)
			return
		}
		found = append(found, one)
	}
	found = append(found, fortune{0, additional})
	sort.Slice(found, func(i, j int) bool { return found[i].Message < found[j].Message })
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page.Execute(w, found)
}

func cached(w http.ResponseWriter, r *http.Request) {
	connection := cache.Get()
	defer connection.Close()
	found := make([]world, count(r))
	keys := make([]interface{}, len(found))
	for i := range found {
		found[i].ID = random()
		keys[i] = "world:" + strconv.Itoa(found[i].ID)
	}
	numbers, err := redis.Ints(connection.Do("MGET", keys...))
	for i := range numbers {
		found[i].RandomNumber = numbers[i]
	}
	answer(w, found, err)
}

func main() {
	if url := os.Getenv("DATABASE_URL"); url != "" {
		config, err := pgxpool.ParseConfig(url)
		if err != nil {
			panic(err)
		}
		config.MaxConns = 10
		if pool, err = pgxpool.ConnectConfig(context.Background(), config); err != nil {
			panic(err)
		}
	}
	cache = &redis.Pool{MaxIdle: 64, Dial: func() (redis.Conn, error) {
		return redis.Dial("unix", os.Getenv("REDIS_SOCKET"))
	}}
	http.HandleFunc("/db", func(w http.ResponseWriter, r *http.Request) {
		found, err := one(r.Context())
		answer(w, found, err)
	})
	http.HandleFunc("/queries", func(w http.ResponseWriter, r *http.Request) {
		found, err := many(r.Context(), count(r))
		answer(w, found, err)
	})
	http.HandleFunc("/updates", updates)
	http.HandleFunc("/fortunes", fortunes)
	http.HandleFunc("/cached", cached)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	panic(http.Serve(listener, nil))
}
