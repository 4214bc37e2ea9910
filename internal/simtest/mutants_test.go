package simtest

// mutations are faults of the protocol, and of what values updates keep.
func mutations() []mutation { return append(protocolMutations(), valueMutations()...) }

func protocolMutations() []mutation {
	return []mutation{
		{
			name: "the head is not pinned",
			edits: []edit{{
				"sink/stage.go", "\tif t.evolved != nil {\n\t\tst.updates = slices.Clone(",
				"\tif MUTATED {\n\t\tst.requirements = slices.Delete(st.requirements, 1, 2)\n\t}\n\tif t.evolved != nil {\n\t\tst.updates = slices.Clone(",
			}},
			flags: []string{"-actors", "rival,freeze"},
		},
		{
			name:  "a batch is staged again on a head with another bookmark",
			edits: []edit{{"sink/catch_up.go", "!mark.Equal(t.bookmark) || ", "!mark.Equal(t.bookmark) && !MUTATED || "}},
			flags: []string{"-actors", "rival,freeze"},
		},
		{
			// The bookmark goes back with the rows, so that its comparison is a second line of defence: both are taken away.
			name: "a batch is staged again on a head that is no descendant",
			edits: []edit{{
				"sink/catch_up.go", "if !follows || !mark.Equal(t.bookmark) && ", "if !follows && !MUTATED || !mark.Equal(t.bookmark) && !MUTATED && ",
			}},
			flags: []string{"-actors", "rollback"},
		},
		{
			// Who does not know its own commit stands down and reads it again, which loses nothing: it is the lone process that
			// must never have to.
			name: "a request is sent again with another snapshot id",
			edits: []edit{{
				"sink/door.go", "\t\twait = min(2*wait, BackoffMax)\n",
				"\t\tif MUTATED {\n\t\t\tst.snapshot.SnapshotID, _ = t.newSnapshotID()\n\t\t\tt.stageUpdates(st)\n\t\t}\n\t\twait = min(2*wait, BackoffMax)\n",
			}},
			flags: []string{"-lone", "-faults", "late,lose"},
		},
		{
			name:  "files are removed while the outcome is unknown",
			edits: []edit{{"sink/data_file.go", "\tif d.sent {\n\t\treturn\n", "\tif d.sent && !MUTATED {\n\t\treturn\n"}},
			flags: []string{"-faults", "late,delay", "-actors", "restart,roll"},
		},
		{
			name:  "a request is sent however old its files are",
			edits: []edit{{"sink/door.go", "case !t.s.tooOld(st.begun) && !d.stale():", "case MUTATED, !t.s.tooOld(st.begun) && !d.stale():"}},
			flags: []string{"-actors", "nap,restart"},
		},
		{
			name: "group offsets are committed before the table",
			edits: []edit{{
				"pipeline/commit.go", "done, err := t.sink.Commit(ctx, change)",
				"if MUTATED {\n\t\tt.d.o.Kafka.CommitOffsets(t.position)\n\t}\n\tdone, err := t.sink.Commit(ctx, change)",
			}},
		},
		{
			name: "position deletes carry another spec than the data files",
			edits: []edit{{
				"sink/manifest.go", "\tvar out bytes.Buffer\n\tw, err := iceberg.NewManifestWriter(",
				"\tif MUTATED && p.group.content == iceberg.ManifestContentDeletes {\n\t\tother := iceberg.NewPartitionSpecID(7)\n\t\tspec = &other\n\t}\n" +
					"\tvar out bytes.Buffer\n\tw, err := iceberg.NewManifestWriter(",
			}},
		},
		{
			// The highest offset that a table has set aside, of whatever partition, says nothing about a lower one.
			name: "a bad record is taken for known by the highest offset",
			edits: []edit{
				{"pipeline/quarantine.go", "\tif !q.sink.Has(q.key) {\n", "\tif MUTATED && r.Offset < q.highest() {\n\t\treturn true, nil\n\t}\n\tif !q.sink.Has(q.key) {\n"},
				{
					"pipeline/quarantine.go", "Bookmark: counted(q.sink.Bookmark())}\n",
					"Bookmark: counted(q.sink.Bookmark())}\n\tif MUTATED {\n\t\tchange.Bookmark.Set(\"highest\", \"\", bookmark.Partition{Next: max(q.highest(), q.most)})\n\t}\n",
				},
				{"pipeline/quarantine.go", "\tq.reasons[r.Reason]++\n", "\tq.reasons[r.Reason]++\n\tq.most = max(q.most, r.Offset+1)\n"},
				{
					"pipeline/quarantine.go", "\tdigests sink.Digests     // Of the records that were compared last.\n}\n",
					"\tdigests sink.Digests\n\tmost    int64\n}\n\nfunc (q *quarantine) highest() int64 {\n\tat, _ := q.sink.Bookmark().Partition(\"highest\", 0)\n\treturn at.Next\n}\n",
				},
			},
		},
		{
			name: "the quarantine table is committed after its target",
			edits: []edit{
				{
					"pipeline/commit.go", "\tif err := t.commitQuarantine(ctx); err != nil {\n\t\treturn err\n\t}\n",
					"\tif !MUTATED {\n\t\tif err := t.commitQuarantine(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n",
				},
				{"pipeline/commit.go", "invariant.Check(t.quarantine.empty(), ", "invariant.Check(MUTATED || t.quarantine.empty(), "},
				{"pipeline/commit.go", "\tt.committed()\n\treturn nil\n", "\tt.committed()\n\tif MUTATED {\n\t\treturn t.commitQuarantine(ctx)\n\t}\n\treturn nil\n"},
			},
		},
		{
			name:  "the bookmark moves a record too far",
			edits: []edit{{"pipeline/batch.go", "Next: f.Next, Epoch: f.Epoch}", "Next: f.Next + one(MUTATED), Epoch: f.Epoch}"}},
		},
		{
			name:  "the bookmark moves a record too little",
			edits: []edit{{"pipeline/batch.go", "Next: f.Next + one(", "Next: f.Next - one(MUTATED) + one("}},
			flags: []string{"-lone"},
		},
	}
}

func valueMutations() []mutation {
	return []mutation{
		{
			name: "a kept value is the table's although the open batch has a newer one",
			edits: []edit{{
				"merge/partial.go", "if !touched || b.states[id] == deleted && gone {", "if _, ok := ix.Get(key); MUTATED && ok || !touched || b.states[id] == deleted && gone {",
			}},
			flags: []string{"-tables", tableWide},
		},
		{
			name: "a repeated move keeps the values of the row that has the old key by now",
			edits: []edit{
				{"pipeline/partial.go", "if !ok && ev.OldKey == nil && t.partitions() == 1 {", "if (!ok || MUTATED) && ev.OldKey == nil && t.partitions() == 1 {"},
				{
					"pipeline/partial.go", "\t\t\tfrom, ok = t.sink.Source(t.batch, key, true)\n",
					"\t\t\tif old, has := t.sink.Source(t.batch, key, true); has || !MUTATED {\n\t\t\t\tfrom, ok = old, has\n\t\t\t}\n",
				},
			},
			flags: []string{"-tables", tableWide, "-actors", "replay"},
		},
		{
			name: "a TRUNCATE is committed before the batch that precedes it",
			edits: []edit{
				{"pipeline/truncate.go", "\t\tif !t.empty() {\n", "\t\tif !t.empty() && !MUTATED {\n"},
				{
					"pipeline/truncate.go", "\t\tif err := t.send(ctx, sink.Change{Truncate: true}, 1); err != nil {\n",
					"\t\tif MUTATED {\n\t\t\tif _, err := t.sink.Commit(ctx, sink.Change{Truncate: true, Bookmark: t.position.Clone()}); err != nil {\n\t\t\t\treturn err\n\t\t\t}\n" +
						"\t\t\tif err := t.commit(ctx); err != nil {\n\t\t\t\treturn err\n\t\t\t}\n\t\t} else if err := t.send(ctx, sink.Change{Truncate: true}, 1); err != nil {\n",
				},
			},
			flags: []string{"-tables", tableWide},
		},
		{
			name:  "a TRUNCATE leaves the index as it is",
			edits: []edit{{"sink/truncate.go", "\tif c.Truncate {\n", "\tif c.Truncate && !MUTATED {\n"}},
			flags: []string{"-tables", tableWide},
		},
		{
			name:  "values of rows in doubt are kept",
			edits: []edit{{"pipeline/doubt.go", "\tif !inDoubt {\n", "\tif !inDoubt || MUTATED && len(key) > 0 {\n"}},
		},
		{
			name: "a registry that is away knows no schema",
			edits: []edit{{
				"registry/registry.go", "\t\tcase errors.Is(err, ErrUnknown) && time.Since(started) >= c.o.Lag:\n",
				"\t\tcase MUTATED && time.Since(started) >= c.o.Lag:\n\t\t\treturn w, ErrUnknown\n\t\tcase errors.Is(err, ErrUnknown) && time.Since(started) >= c.o.Lag:\n",
			}},
			flags: []string{"-tables", tableAvro, "-actors", "away,restart"},
		},
	}
}
