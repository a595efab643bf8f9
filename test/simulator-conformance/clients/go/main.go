// Plays scenarios with github.com/microsoft/go-mssqldb: one request a line on standard input, what it saw a line on standard
// output. The shapes are those of scenario.ts.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-sql/civil"
	"github.com/golang-sql/sqlexp"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/shopspring/decimal"
)

type target struct {
	Host, User, Password, Database, Encryption, Certificate string
	Port                                                    int
}

type parameter struct {
	Name, Type string
	Text       *string
	Output     bool
	Table      *table
}

type table struct {
	Name    string
	Columns []struct{ Name, Type string }
	Rows    [][]*string
}

type turn struct{ Parameters []parameter }

type step struct {
	Do, SQL, Isolation, Procedure, Table string
	Parameters, Arguments                []parameter
	Runs                                 []turn
	Columns                              []struct{ Name, Type string }
	Rows                                 [][]*string
	Options                              []string
}

type request struct {
	Target   target
	Scenario struct{ Steps []step }
}

type set struct {
	Columns []string    `json:"columns"`
	Rows    [][]*string `json:"rows"`
}

type failure struct {
	Number   *int32 `json:"number"`
	State    *uint8 `json:"state,omitempty"`
	Severity *uint8 `json:"severity,omitempty"`
	Line     *int32 `json:"line,omitempty"`
	Message  string `json:"message"`
}

type seen struct {
	Sets      []set              `json:"sets"`
	Affected  *int64             `json:"affected,omitempty"`
	Errors    []failure          `json:"errors"`
	Messages  []string           `json:"messages"`
	Outputs   map[string]*string `json:"outputs,omitempty"`
	Returned  *int32             `json:"returned,omitempty"`
	Cancelled *struct {
		Rows int `json:"rows"`
	} `json:"cancelled,omitempty"`
}

type played struct {
	Refused *failure `json:"refused,omitempty"`
	Steps   []*seen  `json:"steps"`
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		var asked request
		if err := json.Unmarshal([]byte(line), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out.Encode(play(asked))
	}
}

var encrypt = map[string]string{"none": "disable", "login": "false", "all": "true", "strict": "strict"}

func play(asked request) played {
	t := asked.Target
	query := url.Values{"database": {t.Database}, "encrypt": {encrypt[t.Encryption]}, "connection timeout": {"20"}}
	if t.Encryption != "none" {
		query.Set("certificate", t.Certificate)
		query.Set("hostNameInCertificate", "localhost")
	}
	dsn := url.URL{
		Scheme:   "sqlserver",
		User:     url.UserPassword(t.User, t.Password),
		Host:     fmt.Sprintf("%s:%d", t.Host, t.Port),
		RawQuery: query.Encode(),
	}
	ctx := context.Background()
	db, err := sql.Open("sqlserver", dsn.String())
	if err != nil {
		return played{Refused: told(err)}
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return played{Refused: told(err)}
	}
	defer conn.Close()
	p := &player{conn: conn, steps: []*seen{}}
	for _, s := range asked.Scenario.Steps {
		p.step(ctx, s)
	}
	if p.tx != nil {
		p.tx.Rollback()
	}
	return played{Steps: p.steps}
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

type player struct {
	conn  *sql.Conn
	tx    *sql.Tx
	steps []*seen
}

func (p *player) on() queryer {
	if p.tx != nil {
		return p.tx
	}
	return p.conn
}

var levels = map[string]sql.IsolationLevel{
	"":                sql.LevelDefault,
	"read committed":  sql.LevelReadCommitted,
	"repeatable read": sql.LevelRepeatableRead,
	"serializable":    sql.LevelSerializable,
	"snapshot":        sql.LevelSnapshot,
}

func (p *player) step(ctx context.Context, s step) {
	got := &seen{Sets: []set{}, Errors: []failure{}, Messages: []string{}}
	var err error
	switch s.Do {
	case "batch":
		p.query(ctx, got, func(args ...any) (*sql.Rows, error) { return p.on().QueryContext(ctx, s.SQL, args...) }, s.Parameters)
	case "call":
		p.call(ctx, got, s)
	case "begin":
		p.tx, err = p.conn.BeginTx(ctx, &sql.TxOptions{Isolation: levels[s.Isolation]})
	case "commit":
		err, p.tx = p.tx.Commit(), nil
	case "rollback":
		err, p.tx = p.tx.Rollback(), nil
	case "bulk":
		err = p.bulk(ctx, got, s)
	case "cancel":
		p.cancel(ctx, got, s.SQL)
	case "prepared":
		p.prepared(ctx, s)
		return
	default:
		err = fmt.Errorf("unknown step %s", s.Do)
	}
	if err != nil {
		got.Errors = append(got.Errors, *told(err))
	}
	p.steps = append(p.steps, got)
}

func (p *player) bulk(ctx context.Context, got *seen, s step) error {
	options := mssql.BulkOptions{
		CheckConstraints: slices.Contains(s.Options, "CHECK_CONSTRAINTS"),
		KeepNulls:        slices.Contains(s.Options, "KEEP_NULLS"),
		Tablock:          slices.Contains(s.Options, "TABLOCK"),
	}
	names := []string{}
	for _, column := range s.Columns {
		names = append(names, column.Name)
	}
	statement, err := p.on().PrepareContext(ctx, mssql.CopyIn(s.Table, options, names...))
	if err != nil {
		return err
	}
	defer statement.Close()
	for _, texts := range s.Rows {
		values := make([]any, len(texts))
		for i, text := range texts {
			if values[i], err = bulkValue(s.Columns[i].Type, text); err != nil {
				return err
			}
		}
		if _, err := statement.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	result, err := statement.ExecContext(ctx)
	if err != nil {
		return err
	}
	count, err := result.RowsAffected()
	got.Affected = &count
	return err
}

// Bulk copy takes plain values alone.
func bulkValue(databaseType string, text *string) (any, error) {
	if text == nil {
		return nil, nil
	}
	switch base, _, _ := strings.Cut(databaseType, "("); base {
	case "decimal", "nvarchar", "varchar":
		return *text, nil
	case "datetime", "datetime2":
		return time.Parse("2006-01-02T15:04:05", *text)
	default:
		return valueOf(parameter{Type: databaseType, Text: text})
	}
}

func (p *player) prepared(ctx context.Context, s step) {
	statement, err := p.on().PrepareContext(ctx, s.SQL)
	if err != nil {
		p.steps = append(p.steps, &seen{Errors: []failure{*told(err)}})
		return
	}
	defer statement.Close()
	for _, turn := range s.Runs {
		got := &seen{Sets: []set{}, Errors: []failure{}, Messages: []string{}}
		p.query(ctx, got, func(args ...any) (*sql.Rows, error) { return statement.QueryContext(ctx, args...) }, turn.Parameters)
		p.steps = append(p.steps, got)
	}
}

// Reads messages, counts, results and errors in the order in which they come.
func (p *player) query(ctx context.Context, got *seen, start func(args ...any) (*sql.Rows, error), parameters []parameter) {
	queue := &sqlexp.ReturnMessage{}
	args := []any{queue}
	for _, each := range parameters {
		value, err := valueOf(each)
		if err != nil {
			got.Errors = append(got.Errors, *told(err))
			return
		}
		args = append(args, sql.Named(each.Name, value))
	}
	rows, err := start(args...)
	if err != nil {
		got.Errors = append(got.Errors, *told(err))
		return
	}
	defer rows.Close()
	p.read(ctx, got, rows, queue)
}

func (p *player) read(ctx context.Context, got *seen, rows *sql.Rows, queue *sqlexp.ReturnMessage) {
	for active := true; active; {
		switch message := queue.Message(ctx).(type) {
		case sqlexp.MsgNotice:
			got.Messages = append(got.Messages, message.Message.String())
		case sqlexp.MsgRowsAffected:
			count := message.Count
			got.Affected = &count
		case sqlexp.MsgError:
			failed := told(message.Error)
			got.Errors = append(got.Errors, *failed)
			// Without a number it is the driver's own, after which nothing comes.
			active = active && failed.Number != nil
		case sqlexp.MsgNextResultSet:
			active = rows.NextResultSet()
		case sqlexp.MsgNext:
			got.Sets = append(got.Sets, set{Columns: []string{}, Rows: [][]*string{}})
			if err := scan(rows, &got.Sets[len(got.Sets)-1]); err != nil {
				got.Errors = append(got.Errors, *told(err))
			}
		}
	}
}

func scan(rows *sql.Rows, into *set) error {
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for _, each := range types {
		into.Columns = append(into.Columns, each.Name())
	}
	for rows.Next() {
		values := make([]any, len(types))
		pointers := make([]any, len(types))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		texts := make([]*string, len(types))
		for i, value := range values {
			texts[i] = textOf(value, types[i].DatabaseTypeName())
		}
		into.Rows = append(into.Rows, texts)
	}
	return nil
}

func (p *player) cancel(ctx context.Context, got *seen, text string) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	queue := &sqlexp.ReturnMessage{}
	rows, err := p.on().QueryContext(ctx, text, queue)
	count := 0
	if err == nil {
		for active := true; active; {
			switch message := queue.Message(ctx).(type) {
			case sqlexp.MsgNotice:
				stop()
			case sqlexp.MsgError:
				err, active = message.Error, false
			case sqlexp.MsgNextResultSet:
				active = rows.NextResultSet()
			case sqlexp.MsgNext:
				for rows.Next() {
					count++
					stop()
				}
			}
		}
		if err == nil {
			err = rows.Err()
		}
		rows.Close()
	}
	if errors.Is(err, context.Canceled) {
		got.Cancelled = &struct {
			Rows int `json:"rows"`
		}{count}
	} else if err != nil {
		got.Errors = append(got.Errors, *told(err))
	}
}

func (p *player) call(ctx context.Context, got *seen, s step) {
	var returned mssql.ReturnStatus
	args := []any{}
	outputs := map[string]*sql.NullString{}
	numbers := map[string]*sql.NullInt64{}
	for _, each := range s.Arguments {
		value, err := valueOf(each)
		if err != nil {
			got.Errors = append(got.Errors, *told(err))
			return
		}
		switch {
		case each.Output && each.Type == "int":
			numbers[each.Name] = &sql.NullInt64{}
			value = sql.Out{Dest: numbers[each.Name]}
		case each.Output:
			outputs[each.Name] = &sql.NullString{}
			value = sql.Out{Dest: outputs[each.Name]}
		}
		args = append(args, sql.Named(each.Name, value))
	}
	args = append(args, &returned)
	p.query(ctx, got, func(queue ...any) (*sql.Rows, error) {
		return p.on().QueryContext(ctx, s.Procedure, append(queue, args...)...)
	}, nil)
	status := int32(returned)
	got.Returned = &status
	got.Outputs = map[string]*string{}
	for name, number := range numbers {
		got.Outputs[name] = nil
		if number.Valid {
			text := strconv.FormatInt(number.Int64, 10)
			got.Outputs[name] = &text
		}
	}
	for name, text := range outputs {
		got.Outputs[name] = nil
		if text.Valid {
			got.Outputs[name] = &text.String
		}
	}
}

func told(err error) *failure {
	var server mssql.Error
	if errors.As(err, &server) {
		return &failure{&server.Number, &server.State, &server.Class, &server.LineNo, server.Message}
	}
	return &failure{Message: err.Error()}
}

// Fractions of a second come without their trailing zeros: a column's scale is not told for times.
func textOf(value any, databaseType string) *string {
	var text string
	switch v := value.(type) {
	case nil:
		return nil
	case bool:
		text = map[bool]string{false: "0", true: "1"}[v]
	case int64:
		text = strconv.FormatInt(v, 10)
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		text = v
	case time.Time:
		text = timeText(v, databaseType)
	case []byte:
		switch databaseType {
		case "DECIMAL", "MONEY", "SMALLMONEY":
			text = string(v)
		case "UNIQUEIDENTIFIER":
			var id mssql.UniqueIdentifier
			if err := id.Scan(v); err != nil {
				text = err.Error()
			} else {
				text = id.String()
			}
		default:
			text = "0x" + strings.ToUpper(hex.EncodeToString(v))
		}
	default:
		text = fmt.Sprintf("%T %v", v, v)
	}
	return &text
}

func timeText(v time.Time, databaseType string) string {
	switch databaseType {
	case "DATE":
		return v.Format("2006-01-02")
	case "TIME":
		return v.Format("15:04:05.9999999")
	case "DATETIMEOFFSET":
		return v.Format("2006-01-02T15:04:05.9999999-07:00")
	default:
		return v.Format("2006-01-02T15:04:05.9999999")
	}
}

// A table-valued parameter is a slice of structs with a field a column.
func tableOf(t table) (any, error) {
	fields := make([]reflect.StructField, len(t.Columns))
	for i, column := range t.Columns {
		kind := reflect.TypeFor[*string]()
		if column.Type == "int" {
			kind = reflect.TypeFor[*int64]()
		}
		fields[i] = reflect.StructField{Name: fmt.Sprintf("Column%d", i), Type: kind}
	}
	rows := reflect.MakeSlice(reflect.SliceOf(reflect.StructOf(fields)), len(t.Rows), len(t.Rows))
	for i, texts := range t.Rows {
		for j, text := range texts {
			if text == nil {
				continue
			}
			field := rows.Index(i).Field(j)
			if fields[j].Type == reflect.TypeFor[*string]() {
				field.Set(reflect.ValueOf(text))
				continue
			}
			number, err := strconv.ParseInt(*text, 10, 64)
			if err != nil {
				return nil, err
			}
			field.Set(reflect.ValueOf(&number))
		}
	}
	return mssql.TVP{TypeName: t.Name, Value: rows.Interface()}, nil
}

func valueOf(p parameter) (any, error) {
	if p.Table != nil {
		return tableOf(*p.Table)
	}
	base, _, _ := strings.Cut(p.Type, "(")
	max := strings.HasSuffix(p.Type, "(max)")
	if p.Text == nil {
		return nullOf(base), nil
	}
	text := *p.Text
	switch base {
	case "bit":
		return text == "1", nil
	case "tinyint", "smallint", "int", "bigint":
		return strconv.ParseInt(text, 10, 64)
	case "float", "real":
		return strconv.ParseFloat(text, 64)
	case "decimal", "numeric":
		value, err := decimal.NewFromString(text)
		return decimal.NewNullDecimal(value), err
	case "money", "smallmoney":
		value, err := decimal.NewFromString(text)
		return mssql.Money[decimal.NullDecimal]{Decimal: decimal.NewNullDecimal(value)}, err
	case "date":
		return civil.ParseDate(text)
	case "time":
		return civil.ParseTime(text)
	case "datetime", "smalldatetime":
		value, err := time.Parse("2006-01-02T15:04:05", text)
		return mssql.DateTime1(value), err
	case "datetime2":
		return civil.ParseDateTime(text)
	case "datetimeoffset":
		value, err := time.Parse("2006-01-02T15:04:05Z07:00", text)
		return mssql.DateTimeOffset(value), err
	case "char", "varchar", "text":
		if max || base == "text" {
			return mssql.VarCharMax(text), nil
		}
		return mssql.VarChar(text), nil
	case "nchar":
		return mssql.NChar(text), nil
	case "nvarchar", "ntext", "xml":
		if max || base == "ntext" {
			return mssql.NVarCharMax(text), nil
		}
		return text, nil
	case "uniqueidentifier":
		var id mssql.UniqueIdentifier
		err := id.Scan(text)
		return id, err
	case "binary", "varbinary", "image":
		return hex.DecodeString(text[2:])
	}
	return nil, fmt.Errorf("no parameter of type %s", p.Type)
}

func nullOf(base string) any {
	switch base {
	case "binary", "varbinary", "image":
		return []byte(nil)
	case "decimal", "numeric":
		return decimal.NullDecimal{}
	}
	return nil
}
