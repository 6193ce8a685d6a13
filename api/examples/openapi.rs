//! Prints the OpenAPI document, as the repository's `openapi.json` holds it.

fn main() {
    print!("{}", api::openapi_json());
}
