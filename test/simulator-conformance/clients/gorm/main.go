// A program as GORM's users write them: tables made from structs, and rows through them. Its argument is the address; it prints
// what it saw as one line of JSON.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"gorm.io/driver/sqlserver"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

type Company struct {
	ID   uint
	Name string `gorm:"size:80;uniqueIndex"`
}

type Language struct {
	Code string `gorm:"primaryKey;size:10"`
	Name string
}

type Person struct {
	gorm.Model
	Name      string  `gorm:"size:100;index:idx_name;not null"`
	Email     *string `gorm:"size:100;uniqueIndex:,where:email IS NOT NULL"`
	Age       int     `gorm:"default:18;check:age > 3"`
	Birthday  *time.Time
	Balance   float64 `gorm:"type:decimal(12,2)"`
	Data      []byte
	CompanyID *uint
	Company   *Company
	Languages []Language `gorm:"many2many:person_languages"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	db, err := gorm.Open(sqlserver.Open(os.Args[1]), &gorm.Config{Logger: logger.Discard})
	must(err)
	told := map[string]any{}
	models := []any{&Company{}, &Language{}, &Person{}}
	must(db.AutoMigrate(models...))
	// A second time there is nothing to change.
	must(db.AutoMigrate(models...))
	told["columns"] = columns(db)

	email, birthday := "a@b.c", time.Date(2000, 2, 29, 3, 4, 5, 0, time.UTC)
	ann := Person{
		Name: "Ünal", Email: &email, Balance: 12.34, Data: []byte{1, 2}, Birthday: &birthday, Company: &Company{Name: "ACME"},
		Languages: []Language{{"de", "German"}, {"en", "English"}},
	}
	must(db.Create(&ann).Error)
	others := []Person{{Name: "b"}, {Name: "c", Age: 20}, {Name: "d"}}
	must(db.Create(&others).Error)
	told["ids"] = []uint{ann.ID, others[0].ID, others[2].ID}

	var found Person
	must(db.Preload("Company").Preload("Languages").First(&found, ann.ID).Error)
	told["found"] = []any{found.Name, *found.Email, found.Age, found.Balance, found.Birthday.Equal(birthday), found.Data,
		found.Company.Name, len(found.Languages)}

	must(db.Model(&Person{}).Where("age < ?", 20).Update("age", gorm.Expr("age + ?", 1)).Error)
	replaced := clause.OnConflict{Columns: []clause.Column{{Name: "code"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}
	must(db.Clauses(replaced).Create(&[]Language{{"de", "Deutsch"}, {"fr", "French"}}).Error)
	var languages []Language
	must(db.Order("code").Find(&languages).Error)
	told["languages"] = languages
	var page []Person
	must(db.Order("id DESC").Limit(2).Offset(1).Find(&page).Error)
	told["page"] = []any{page[0].Name, page[0].Age, page[1].Name, page[1].Age}

	must(db.Transaction(func(tx *gorm.DB) error {
		must(tx.Create(&Language{"it", "Italian"}).Error)
		must(tx.SavePoint("before").Error)
		must(tx.Create(&Language{"es", "Spanish"}).Error)
		return tx.RollbackTo("before").Error
	}))
	must(db.Delete(&found).Error)
	var count int64
	must(db.Model(&Person{}).Count(&count).Error)
	told["people"] = count
	must(db.Model(&Language{}).Count(&count).Error)
	told["languages left"] = count
	told["duplicate"] = fmt.Sprint(db.Create(&Company{Name: "ACME"}).Error)
	told["unchecked"] = fmt.Sprint(db.Create(&Person{Name: "e", Age: 1}).Error != nil)

	migrator := db.Migrator()
	must(migrator.RenameColumn(&Person{}, "data", "blob"))
	must(migrator.DropColumn(&Person{}, "balance"))
	must(migrator.DropIndex(&Person{}, "idx_name"))
	must(migrator.DropTable("person_languages", &Person{}, &Language{}, &Company{}))
	tables, err := migrator.GetTables()
	must(err)
	told["tables"] = len(tables)
	must(json.NewEncoder(os.Stdout).Encode(told))
}

func columns(db *gorm.DB) [][]any {
	types, err := db.Migrator().ColumnTypes(&Person{})
	must(err)
	var all [][]any
	for _, column := range types {
		length, _ := column.Length()
		nullable, _ := column.Nullable()
		primary, _ := column.PrimaryKey()
		generated, _ := column.AutoIncrement()
		unique, _ := column.Unique()
		value, _ := column.DefaultValue()
		all = append(all, []any{column.Name(), column.DatabaseTypeName(), length, nullable, primary, generated, unique, value})
	}
	return all
}
