package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The tables of the shop: a string key, an unsigned key, and a composite key whose part may change. There are no foreign
// keys: rows that a cascade changes are not in the binlog.
func shopTables() []sourceTable {
	return []sourceTable{
		{"customer", map[string]string{"balance": "decimal(12,2)", "created": "timestamptz", "updated": "long"}},
		{"orders", map[string]string{"id": "decimal(20,0)", "placed": "long", "day": "date", "total": "decimal(14,2)"}},
		{"order_item", map[string]string{"order_id": "decimal(20,0)", "price": "decimal(10,4)"}},
	}
}

func shopSchema() []string {
	return []string{
		`CREATE TABLE customer (id VARCHAR(40) PRIMARY KEY, name VARCHAR(100) NOT NULL, email VARCHAR(200), balance DECIMAL(12,2) NOT NULL,
		vip TINYINT(1) NOT NULL DEFAULT 0, score DOUBLE, created TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), updated DATETIME(3))`,
		`CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, customer_id VARCHAR(40) NOT NULL, placed DATETIME(6) NOT NULL, day DATE NOT NULL,
		status ENUM('new','paid','sent','returned') NOT NULL, total DECIMAL(14,2) NOT NULL, note TEXT)`,
		`CREATE TABLE order_item (order_id BIGINT UNSIGNED NOT NULL, line_no INT NOT NULL, sku CHAR(12) NOT NULL, quantity SMALLINT UNSIGNED NOT NULL,
		price DECIMAL(10,4), PRIMARY KEY (order_id, line_no))`,
	}
}

// fillShop makes the tables with some rows.
func fillShop(ctx context.Context, db *sql.DB, customers, orders int) error {
	if err := execAll(ctx, db, shopSchema()...); err != nil {
		return err
	}
	return execAll(ctx, db,
		fmt.Sprintf("INSERT INTO customer (id, name, email, balance, score) SELECT CONCAT('c-', seq), CONCAT('Name ', seq), IF(seq %% 7, CONCAT(seq, '@example.org'), NULL), seq / 3, seq / 7 FROM seq_1_to_%d", customers),
		fmt.Sprintf("INSERT INTO orders (customer_id, placed, day, status, total, note) SELECT CONCAT('c-', 1 + seq %% %d), '2024-02-29 23:59:59.999999' - INTERVAL seq HOUR, '2024-02-29' - INTERVAL seq DAY, 1 + seq %% 4, seq * 1.01, IF(seq %% 3, NULL, REPEAT('x', seq %% 300)) FROM seq_1_to_%d", customers, orders),
		"INSERT INTO order_item SELECT id, n.seq, LPAD(id, 12, 'A'), id % 65536, n.seq / 7 FROM orders, seq_1_to_3 n")
}

// A load is an OLTP workload on the shop: workers with one connection each, that commit (or roll back) transactions.
type load struct {
	db           *sql.DB
	workers      int
	perSecond    float64 // Transactions a second of each worker.
	transactions atomic.Int64
	seed         uint64
	id           string // Keeps the keys of one load apart from those of another.
}

// run works until ctx ends, or for limit transactions if limit is not 0.
func (l *load) run(ctx context.Context, limit int64) error {
	var wg sync.WaitGroup
	errs := make([]error, l.workers)
	for i := range l.workers {
		wg.Go(func() { errs[i] = l.work(ctx, rand.New(rand.NewPCG(l.seed, uint64(i))), i, limit) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *load) work(ctx context.Context, r *rand.Rand, worker int, limit int64) error {
	for n := 0; ctx.Err() == nil && (limit == 0 || l.transactions.Load() < limit); n++ {
		err := l.transaction(ctx, r, fmt.Sprintf("w%s%d-%d", l.id, worker, n))
		if failure, ok := errors.AsType[*mysql.MySQLError](err); ok {
			switch failure.Number {
			case 1062, 1205, 1213: // Duplicate key, lock wait timeout, deadlock: rolled back, like any client's.
				err = nil
			}
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("worker %d: %w", worker, err)
		}
		l.transactions.Add(1)
		wait(ctx, time.Duration(r.ExpFloat64()/l.perSecond*float64(time.Second)))
	}
	return nil
}

// transaction runs one of the shop's transactions. It is not cancelled in the middle: the run ends between two.
func (l *load) transaction(ctx context.Context, r *rand.Rand, id string) error {
	ctx = context.WithoutCancel(ctx)
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range shopTransaction(r, id) {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	if r.IntN(20) == 0 {
		return nil // Rolled back: must leave no trace.
	}
	return tx.Commit()
}

// shopTransaction returns the statements of one transaction.
func shopTransaction(r *rand.Rand, id string) []string {
	customer := "(SELECT id FROM (SELECT id FROM customer ORDER BY id LIMIT 1 OFFSET " + fmt.Sprint(r.IntN(50)) + ") c)"
	order := "(SELECT id FROM (SELECT id FROM orders ORDER BY id DESC LIMIT 1 OFFSET " + fmt.Sprint(r.IntN(100)) + ") o)"
	switch r.IntN(12) {
	case 0, 1, 2, 3: // An order with its lines, over several tables.
		out := []string{
			fmt.Sprintf("INSERT INTO orders (customer_id, placed, day, status, total, note) VALUES ('c-%d', NOW(6), CURDATE(), 'new', %d.%02d, %s)", r.IntN(100), r.IntN(10000), r.IntN(100), note(r)),
			"SET @id = LAST_INSERT_ID()",
		}
		for line := range 1 + r.IntN(4) {
			out = append(out, fmt.Sprintf("INSERT INTO order_item VALUES (@id, %d, '%s', %d, %d.%04d)", line+1, strings.ToUpper(id), r.IntN(65536), r.IntN(1000), r.IntN(10000)))
		}
		return append(out, "UPDATE customer SET balance = balance - 1.25, updated = NOW(3) WHERE id = "+customer)
	case 4: // Many rows at once.
		return []string{fmt.Sprintf("UPDATE orders SET status = 'paid', total = total + 0.01, note = %s ORDER BY id DESC LIMIT %d", note(r), 1+r.IntN(20))}
	case 5:
		return []string{fmt.Sprintf("UPDATE customer SET score = score * 1.1, vip = 1 - vip, email = NULL WHERE id > 'c-%d' ORDER BY id LIMIT 5", r.IntN(100))}
	case 6: // A deletion over two tables.
		return []string{"SET @id = " + order, "DELETE FROM order_item WHERE order_id = @id", "DELETE FROM orders WHERE id = @id"}
	case 7: // The string key changes.
		return []string{fmt.Sprintf("UPDATE customer SET id = 'c-%s' WHERE id = %s", id, customer)}
	case 8: // A part of the composite key changes, for several rows.
		return []string{"UPDATE order_item SET line_no = line_no + 10 WHERE order_id = " + order + " ORDER BY line_no DESC"}
	case 9: // The same key in one transaction: gone and back, twice.
		return []string{
			"SET @id = " + order, "UPDATE orders SET note = 'one' WHERE id = @id", "CREATE TEMPORARY TABLE IF NOT EXISTS saved LIKE orders",
			"DELETE FROM saved", "INSERT INTO saved SELECT * FROM orders WHERE id = @id", "DELETE FROM orders WHERE id = @id",
			"INSERT INTO orders SELECT * FROM saved", "UPDATE orders SET note = 'two' WHERE id = @id",
		}
	case 10:
		return []string{fmt.Sprintf("INSERT INTO customer (id, name, email, balance, score) VALUES ('n-%s', 'Größe %d', '%d@example.org', %d.99, %g)", id, r.IntN(1e6), r.IntN(1e6), r.IntN(1e6)-5e5, r.NormFloat64())}
	default:
		return []string{"DELETE FROM customer WHERE id LIKE 'n-%' ORDER BY id LIMIT 1"}
	}
}

func note(r *rand.Rand) string {
	switch r.IntN(3) {
	case 0:
		return "NULL"
	case 1:
		return "''"
	}
	return "'" + strings.Repeat("naïve 😀\\n\\t\\\"", r.IntN(8)) + "'"
}
