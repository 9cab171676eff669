//! What is served stands in one table, from which it is described.

use super::*;

#[test]
fn routes_are_registered_in_the_table_alone() {
    let words = [".route(", "web::resource(", "web::scope(", "web::method(", "web::get()", "web::post()"];
    let rule = |files: &[Source]| forbidden(files, &words, &["src/http/routes.rs"]);
    let planted = [("src/http/x.rs", "config.service(web::resource(\"/x\").route(web::get().to(x)));")];
    check(rule, sources("src/http", &[".rs"]), &planted);
}
