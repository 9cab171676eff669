-- A knowledge base as schema 11 held it, filled by its program: entries with their index, their words, and what a model made of them.
INSERT INTO knowledge (rowid, id, language, question, answer, updated_at) VALUES
    (1, 'delivery', 'en', 'Do you deliver on Friday?', 'Yes, until nine in the evening.', 1000),
    (2, 'delivery', 'ar', 'هل توصلون يوم الجمعة؟', 'نعم، حتى التاسعة مساء.', 1000),
    (3, 'price', 'en', 'How much is a bottle?', 'Ten dirhams.', 2000),
    (4, 'guide.md#camels', 'en', '', 'Camels live in the garden behind the shop.', 3000);

INSERT INTO knowledge_text (rowid, question, answer) VALUES
    (1, 'deliv friday', 'yes until nine evening'),
    (2, '__تو _توص _وصل _صل_ __توص _توصل _وصل_ توصل __يو _يوم _وم_ __يوم _يوم_ يوم __جم _جمع _معه _عه_ __جمع _جمعه _معه_ جمعه',
        '__نع _نعم _عم_ __نعم _نعم_ نعم __تا _تاس _اسع _سعه _عه_ __تاس _تاسع _اسعه _سعه_ تاسعه __مس _مسا _سا_ __مسا _مسا_ مسا'),
    (3, 'much bottl', 'ten dirham'),
    (4, 'camel live garden behind shop', '');

INSERT INTO knowledge_words (word, stem) VALUES
    ('behind', 'behind'), ('bottle', 'bottl'), ('camels', 'camel'), ('deliver', 'deliv'), ('dirhams', 'dirham'), ('evening', 'evening'),
    ('friday', 'friday'), ('garden', 'garden'), ('live', 'live'), ('much', 'much'), ('nine', 'nine'), ('shop', 'shop'), ('ten', 'ten'),
    ('until', 'until'), ('yes', 'yes'), ('التاسعه', 'تاسعه'), ('الجمعه', 'جمعه'), ('توصلون', 'توصل'), ('مسا', 'مسا'), ('نعم', 'نعم'),
    ('يوم', 'يوم');

-- (1, 0), (0, 1) and (0.6, 0.8); the model could not read the second entry.
INSERT INTO knowledge_vectors (entry, model, vector, change) VALUES
    (1, 'small', X'0000803F00000000', 1), (2, 'small', NULL, 1), (3, 'small', X'000000000000803F', 1),
    (4, 'small', X'9A99193FCDCC4C3F', 2);

UPDATE knowledge_state SET index_version = 3, sample_offered = 1, generation = 4, vectors = 2;
